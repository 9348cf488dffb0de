import { Message } from "@mail/core/common/message_model";
import { fields } from "@mail/core/common/record";

import { patch } from "@web/core/utils/patch";

/** @type {import("models").Message} */
const messagePatch = {
    setup() {
        super.setup(...arguments);
        this.ai_run_ids = fields.Many("ai.run", { inverse: "message_id" });
    },
    /** The run whose reply this is. */
    get aiRun() {
        return this.ai_run_ids[0];
    },
};
patch(Message.prototype, messagePatch);
