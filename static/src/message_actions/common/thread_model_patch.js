import { fields } from "@mail/core/common/record";
import { Thread } from "@mail/core/common/thread_model";

import { patch } from "@web/core/utils/patch";

/** @type {import("models").Thread} */
const threadPatch = {
    setup() {
        super.setup(...arguments);
        /** The last word of the conversation, as far as it counts. Looked for once, and not by each reply. */
        this.aiLastWord = fields.One("mail.message", {
            /** @this {import("models").Thread} */
            compute() {
                return this.messages.findLast(
                    (message) =>
                        message.message_type === "comment" &&
                        !message.isEmpty &&
                        !message.is_transient &&
                        !message.isAiReplaced
                );
            },
        });
    },
};
patch(Thread.prototype, threadPatch);
