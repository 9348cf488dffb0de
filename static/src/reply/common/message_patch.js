import { addCopyButtons } from "@ai_discuss/reply/common/copy_code";
import { Reasoning } from "@ai_discuss/reply/common/reasoning";

import { Message } from "@mail/core/common/message";

import { patch } from "@web/core/utils/patch";

Object.assign(Message.components, { Reasoning });

patch(Message.prototype, {
    get isAiReply() {
        return Boolean(this.message.author_id?.is_ai_assistant);
    },
    /** @override Assistants write Markdown, whose tables and code have a look of their own. */
    get attClass() {
        return { ...super.attClass, "o-ai-Reply": this.isAiReply };
    },
    /** @override */
    prepareMessageBody(bodyEl) {
        super.prepareMessageBody(...arguments);
        if (bodyEl && this.isAiReply) {
            addCopyButtons(bodyEl);
        }
    },
});
