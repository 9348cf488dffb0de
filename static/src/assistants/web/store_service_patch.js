import { assistantChoice } from "@ai_discuss/assistants/web/assistant_choice";

import { Store } from "@mail/core/common/store_service";

import { patch } from "@web/core/utils/patch";

/** @type {import("models").Store} */
const storePatch = {
    /**
     * Open a fresh conversation with an assistant; one in which nothing was said yet is as good as another.
     *
     * @param {import("models").ResPartner} assistant
     * @returns {Promise<import("models").Thread>}
     */
    async startAiChat(assistant) {
        const thread = this._unusedAiChat(assistant) ?? (await this._createAiChat(assistant));
        await thread.open({ focus: true, bypassCompact: true });
        return thread;
    },
    /** Open a fresh conversation; where there are several assistants, the person chooses first. */
    async newAiChat() {
        if (this.aiAssistants.length === 1) {
            await this.startAiChat(this.aiAssistants[0]);
        } else {
            this.env.services.command.openPalette(assistantChoice(this));
        }
    },
    /** Where managers see to it that there are assistants. */
    manageAiAssistants() {
        return this.env.services.action.doAction("ai_discuss.ai_assistant_action");
    },
    /** @param {import("models").ResPartner} assistant */
    _unusedAiChat(assistant) {
        return Object.values(this.Thread.records).find(
            (thread) =>
                thread.ai_auto_name &&
                thread.self_member_id &&
                thread.isAloneWithAssistant &&
                thread.ai_assistant_partner_id?.eq(assistant) &&
                !thread.ai_record
        );
    },
    /** @param {import("models").ResPartner} assistant */
    async _createAiChat(assistant) {
        const ids = [assistant.ai_assistant_id];
        const id = await this.env.services.orm.call("ai.assistant", "open_chat", [ids], {
            new: true,
        });
        return this.Thread.getOrFetch({ model: "discuss.channel", id });
    },
};
patch(Store.prototype, storePatch);
