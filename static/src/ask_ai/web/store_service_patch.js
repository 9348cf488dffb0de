import { Store } from "@mail/core/common/store_service";

import { patch } from "@web/core/utils/patch";

/** @type {import("models").Store} */
const storePatch = {
    /**
     * Open a conversation with an assistant about a record; one in which nothing was said yet is as good as another.
     *
     * @param {import("models").ResPartner} assistant
     * @param {{ model: string, id: number }} record
     * @returns {Promise<import("models").Thread>}
     */
    async askAi(assistant, { model, id }) {
        const thread =
            this._unusedAiChatAbout(assistant, model, id) ??
            (await this._createAiChatAbout(assistant, model, id));
        await thread.openChatWindow({ focus: true, bypassCompact: true });
        return thread;
    },
    _unusedAiChatAbout(assistant, model, id) {
        return Object.values(this.Thread.records).find(
            (thread) =>
                thread.ai_record?.model === model &&
                thread.ai_record.id === id &&
                thread.ai_assistant_partner_id?.eq(assistant) &&
                thread.isLoaded &&
                thread.isEmpty
        );
    },
    async _createAiChatAbout(assistant, model, id) {
        const { orm } = this.env.services;
        const args = [[assistant.ai_assistant_id], model, id];
        const channelId = await orm.call("ai.assistant", "open_chat_about", args);
        return this.Thread.getOrFetch({ model: "discuss.channel", id: channelId });
    },
};
patch(Store.prototype, storePatch);
