import { fields } from "@mail/core/common/record";
import { Thread } from "@mail/core/common/thread_model";

import { patch } from "@web/core/utils/patch";

/** @type {import("models").Thread} */
const threadPatch = {
    setup() {
        super.setup(...arguments);
        /** The run that has ended last, of those that were seen at work. */
        this.aiEndedRun = fields.One("ai.run");
    },
};
patch(Thread.prototype, threadPatch);
