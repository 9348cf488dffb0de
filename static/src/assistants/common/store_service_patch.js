import { Store } from "@mail/core/common/store_service";

import { patch } from "@web/core/utils/patch";

/** @type {import("models").Store} */
const storePatch = {
    /** The assistants that the client knows, those who left aside. */
    get aiAssistants() {
        return Object.values(this["res.partner"].records).filter(
            (partner) => partner.is_ai_assistant && partner.active !== false
        );
    },
    /** @override People can chat with an assistant, though it has no user. */
    async getPartner({ partnerId }) {
        const partner = partnerId && this["res.partner"].get(partnerId);
        return partner?.is_ai_assistant ? partner : super.getPartner(...arguments);
    },
};
patch(Store.prototype, storePatch);
