import { fields } from "@mail/core/common/record";
import { DiscussApp } from "@mail/core/public_web/discuss_app_model";

import { _t } from "@web/core/l10n/translation";
import { patch } from "@web/core/utils/patch";

/** @type {import("models").DiscussApp} */
const discussAppPatch = {
    setup() {
        super.setup(...arguments);
        this.aiAssistants = fields.One("DiscussAppCategory", {
            compute() {
                return {
                    extraClass: "o-mail-DiscussSidebarCategory-aiAssistants",
                    // People who can do nothing with it need not see it.
                    hideWhenEmpty: !this.store.aiAssistants.length && !this.store.is_ai_manager,
                    icon: "fa fa-magic",
                    id: "ai_assistants",
                    name: _t("Assistants"),
                    sequence: 20, // between the channels and the chats with people
                };
            },
            eager: true,
        });
    },
};
patch(DiscussApp.prototype, discussAppPatch);
