import { Thread } from "@mail/core/common/thread_model";
import { fields } from "@mail/core/common/record";

import { patch } from "@web/core/utils/patch";

/** @type {import("models").Thread} */
const threadPatch = {
    setup() {
        super.setup(...arguments);
        /** @type {{ model: string, id: number }|false} the record that the person asks assistants about here */
        this.ai_record = fields.Attr(false);
    },
    async forgetAiRecord() {
        this.ai_record = false;
        await this.store.env.services.orm.call("discuss.channel", "ai_forget_record", [[this.id]]);
    },
};
patch(Thread.prototype, threadPatch);
