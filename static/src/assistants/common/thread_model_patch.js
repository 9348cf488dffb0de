import { fields } from "@mail/core/common/record";
import { Thread } from "@mail/core/common/thread_model";
// The patch below has to come after this one, which defines what it overrides.
import "@mail/discuss/core/common/thread_model_patch";

import { patch } from "@web/core/utils/patch";

/** @type {import("models").Thread} */
const threadPatch = {
    setup() {
        super.setup(...arguments);
        /** The conversation's own assistant. */
        this.ai_assistant_partner_id = fields.One("res.partner");
        /** Whether it will be named after its first message: nothing was said yet. */
        this.ai_auto_name = false;
        /** Whether an assistant is a member and the conversation's own. */
        this.has_ai_assistant = false;
    },
    /**
     * Whether there is nobody to talk to but an assistant. The members of a group are loaded late, their number is not.
     * A channel stays one, however few people have joined it.
     */
    get isAloneWithAssistant() {
        return Boolean(
            this.correspondent?.persona?.is_ai_assistant ||
                (this.has_ai_assistant && this.channel_type === "group" && this.member_count <= 2)
        );
    },
    /** @override Nobody would pick up. */
    get allowCalls() {
        return super.allowCalls && !this.isAloneWithAssistant;
    },
    /** @override Conversations with an assistant wear its face. */
    get avatarUrl() {
        if (this.channel_type === "group" && this.isAloneWithAssistant) {
            return this.ai_assistant_partner_id?.avatarUrl ?? super.avatarUrl;
        }
        return super.avatarUrl;
    },
    /** @override There is nobody whom the person doesn't see anyway. */
    get hasMemberList() {
        return super.hasMemberList && !this.isAloneWithAssistant;
    },
};
patch(Thread.prototype, threadPatch);
