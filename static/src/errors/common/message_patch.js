import { RunError } from "@ai_discuss/errors/common/run_error";

import { Message } from "@mail/core/common/message";

import { patch } from "@web/core/utils/patch";

Object.assign(Message.components, { RunError });

patch(Message.prototype, {
    /** @override */
    get attClass() {
        return { ...super.attClass, "o-ai-Reply-failed": Boolean(this.message.failedAiRun) };
    },
});
