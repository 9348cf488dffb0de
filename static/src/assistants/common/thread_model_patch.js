import { Thread } from "@mail/core/common/thread_model";

import { patch } from "@web/core/utils/patch";

/** @type {import("models").Thread} */
const threadPatch = {
    setup() {
        super.setup(...arguments);
        /** Whether an assistant is a member and the conversation's own. */
        this.has_ai_assistant = false;
    },
    /** Whether there is nobody to talk to but an assistant. The members of a group are loaded late, their number is not. */
    get isAloneWithAssistant() {
        return (
            this.correspondent?.persona?.is_ai_assistant ||
            (this.has_ai_assistant && this.member_count <= 2)
        );
    },
    /** @override Nobody would pick up. */
    get allowCalls() {
        return super.allowCalls && !this.isAloneWithAssistant;
    },
};
patch(Thread.prototype, threadPatch);
