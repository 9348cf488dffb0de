import { DiscussAppCategory } from "@mail/discuss/core/public_web/discuss_app_category_model";
import { compareDatetime } from "@mail/utils/common/misc";

import { patch } from "@web/core/utils/patch";

/** @type {import("models").DiscussAppCategory} */
const discussAppCategoryPatch = {
    get isOfAiAssistants() {
        return this.eq(this.app?.aiAssistants);
    },
    /** @override */
    sortThreads(t1, t2) {
        if (this.isOfAiAssistants) {
            return compareDatetime(t2.lastInterestDt, t1.lastInterestDt) || t2.id - t1.id;
        }
        return super.sortThreads(...arguments);
    },
};
patch(DiscussAppCategory.prototype, discussAppCategoryPatch);
