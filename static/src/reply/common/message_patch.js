import { Message } from "@mail/core/common/message";

import { patch } from "@web/core/utils/patch";

patch(Message.prototype, {
    /** @override Assistants write Markdown, whose tables and code have a look of their own. */
    get attClass() {
        return {
            ...super.attClass,
            "o-ai-Reply": this.message.author_id?.is_ai_assistant,
        };
    },
});
