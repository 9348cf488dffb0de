import { fields } from "@mail/core/common/record";
import { Store } from "@mail/core/common/store_service";

import { patch } from "@web/core/utils/patch";

/** @type {import("models").Store} */
const storePatch = {
    setup() {
        super.setup(...arguments);
        /** The assistants that the person may use, in their order; none for those who don't work here. */
        this.aiAssistants = fields.Many("res.partner");
    },
    /** @override People can chat with an assistant, though it has no user. */
    async getPartner({ partnerId }) {
        const partner = partnerId && this["res.partner"].get(partnerId);
        return partner?.is_ai_assistant ? partner : super.getPartner(...arguments);
    },
};
patch(Store.prototype, storePatch);
