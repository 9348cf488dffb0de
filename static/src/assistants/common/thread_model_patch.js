import { Thread } from "@mail/core/common/thread_model";

import { patch } from "@web/core/utils/patch";

/** @type {import("models").Thread} */
const threadPatch = {
    /** @override Nobody would pick up. */
    get allowCalls() {
        return super.allowCalls && !this.correspondent?.persona?.is_ai_assistant;
    },
};
patch(Thread.prototype, threadPatch);
