import { Thread } from "@mail/core/common/thread_model";

import { patch } from "@web/core/utils/patch";

/** @type {import("models").Thread} */
const threadPatch = {
    /** Whether there is anything to choose of assistants: a chat of two people has no room for one. */
    get hasAiSettings() {
        return (
            ["channel", "group"].includes(this.channel_type) ||
            (this.channel_type === "chat" && this.has_ai_assistant)
        );
    },
};
patch(Thread.prototype, threadPatch);
