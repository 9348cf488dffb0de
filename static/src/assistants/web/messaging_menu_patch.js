import { ASSISTANTS_TAB } from "@ai_discuss/assistants/web/thread_model_patch";

import { Store } from "@mail/core/common/store_service";
import { MessagingMenu } from "@mail/core/public_web/messaging_menu";
// The patch below has to come after this one, whose tabs it adds to.
import "@mail/core/web/messaging_menu_patch";

import { _t } from "@web/core/l10n/translation";
import { patch } from "@web/core/utils/patch";

/** @type {import("models").Store} */
const storePatch = {
    /** @override */
    tabToThreadType(tab) {
        return super.tabToThreadType(tab === ASSISTANTS_TAB ? "chat" : tab);
    },
};
patch(Store.prototype, storePatch);

/** @type {MessagingMenu} */
const messagingMenuPatch = {
    /** Whether there is anything to find in the tab of the assistants. */
    get hasAiAssistants() {
        return this.store.aiAssistants.length > 0 || this.store.discuss.aiAssistants.threads.length > 0;
    },
    get isAiTabActive() {
        return this.store.discuss.activeTab === ASSISTANTS_TAB;
    },
    /** @override Chats are those with people where assistants have a tab of their own. */
    get threads() {
        const threads = super.threads;
        if (this.isAiTabActive) {
            return threads.filter((thread) => thread.isAloneWithAssistant);
        }
        if (this.store.discuss.activeTab === "chat" && this.hasAiAssistants) {
            return threads.filter((thread) => !thread.isAloneWithAssistant);
        }
        return threads;
    },
    /** @override */
    get hasPreviews() {
        return super.hasPreviews || this.isAiTabActive;
    },
    /** @override */
    get _tabs() {
        const tabs = super._tabs;
        if (this.hasAiAssistants) {
            tabs.push({
                counter: this.store.discuss.aiAssistants.threadsWithCounter.length,
                icon: "fa fa-magic",
                id: ASSISTANTS_TAB,
                label: _t("Assistants"),
                sequence: 30,
            });
        }
        return tabs;
    },
    get aiNewChatText() {
        const { aiAssistants } = this.store;
        return aiAssistants.length === 1
            ? aiAssistants[0].ai_description || aiAssistants[0].name
            : _t("Choose whom you want to ask");
    },
    onClickNewAiChat() {
        this.dropdown.close();
        return this.store.newAiChat();
    },
};
patch(MessagingMenu.prototype, messagingMenuPatch);
