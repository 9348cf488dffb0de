import {
    DiscussSidebarCategories,
    DiscussSidebarCategory,
} from "@mail/discuss/core/public_web/discuss_sidebar_categories";
// The patch below has to come after this one, whose actions it adds to.
import "@mail/discuss/core/web/discuss_sidebar_categories_patch";

import { _t } from "@web/core/l10n/translation";
import { patch } from "@web/core/utils/patch";

/** @type {DiscussSidebarCategory} */
const discussSidebarCategoryPatch = {
    /** @override */
    get actions() {
        const actions = super.actions;
        if (!this.category.isOfAiAssistants) {
            return actions;
        }
        if (this.store.is_ai_manager) {
            actions.push({
                icon: "fa fa-cog",
                label: _t("Manage assistants"),
                onSelect: () => this.store.manageAiAssistants(),
            });
        }
        if (this.store.aiAssistants.length) {
            actions.push({
                class: "o-ai-NewChat",
                icon: "fa fa-plus",
                label: _t("New chat"),
                onSelect: () => this.store.newAiChat(),
            });
        }
        return actions;
    },
};
patch(DiscussSidebarCategory.prototype, discussSidebarCategoryPatch);

/** @type {DiscussSidebarCategories} */
const discussSidebarCategoriesPatch = {
    /**
     * Whether to say what to do in a category where there is nothing yet.
     *
     * @param {import("models").DiscussAppCategory} category
     */
    isAiInvitationShown(category) {
        return (
            category.isOfAiAssistants &&
            category.open &&
            !this.store.discuss.isSidebarCompact &&
            this.store.channels.status === "fetched" &&
            !this.filteredThreads(category.threads).length
        );
    },
};
patch(DiscussSidebarCategories.prototype, discussSidebarCategoriesPatch);
