import { ResPartner } from "@mail/core/common/res_partner_model";

import { patch } from "@web/core/utils/patch";

patch(ResPartner.prototype, {
    setup() {
        super.setup(...arguments);
        /** @type {number|undefined} the record of the assistant that this partner is */
        this.ai_assistant_id = undefined;
        /** @type {string|false|undefined} what the assistant is for */
        this.ai_description = undefined;
        /** @type {string[]} what people can begin a conversation with */
        this.ai_prompts = [];
        /** Whether this partner is an assistant: somebody to talk to who has no user. */
        this.is_ai_assistant = false;
    },
});
