import { ResPartner } from "@mail/core/common/res_partner_model";

import { patch } from "@web/core/utils/patch";

patch(ResPartner.prototype, {
    setup() {
        super.setup(...arguments);
        /** Whether this partner is an assistant: somebody to talk to who has no user. */
        this.is_ai_assistant = false;
    },
});
