import { Message } from "@mail/core/common/message_model";
import { fields } from "@mail/core/common/record";

import { createElementWithContent } from "@web/core/utils/html";
import { patch } from "@web/core/utils/patch";

/** @type {import("models").Message} */
const messagePatch = {
    setup() {
        super.setup(...arguments);
        /** Whether nothing was said before the reply failed: then there is no text to show. */
        this.isOnlyAiError = fields.Attr(false, {
            compute() {
                if (!this.failedAiRun) {
                    return false;
                }
                const content = createElementWithContent("div", this.body);
                content.querySelector(".o_ai_error")?.remove();
                return !content.textContent.trim() && !content.querySelector("img");
            },
        });
    },
    /** The run whose reply this is, where it has failed. */
    get failedAiRun() {
        return this.aiRun?.error_code ? this.aiRun : undefined;
    },
    /** @override */
    get hasTextContent() {
        return super.hasTextContent && !this.isOnlyAiError;
    },
};
patch(Message.prototype, messagePatch);
