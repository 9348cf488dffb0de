import { Thread } from "@mail/core/common/thread_model";

import { _t } from "@web/core/l10n/translation";
import { registry } from "@web/core/registry";
import { patch } from "@web/core/utils/patch";

const NEW_CHAT = "new";

registry.category("discuss.channel_commands").add(NEW_CHAT, {
    condition: ({ store, thread }) =>
        thread.has_ai_assistant && thread.ai_assistant_partner_id?.in(store.aiAssistants),
    help: _t("Start a fresh conversation with the assistant"),
    methodName: NEW_CHAT,
});

/** @type {import("models").Thread} */
const threadPatch = {
    /** @override This one is done here: the person goes to the new conversation, with what they wrote behind the command. */
    async executeCommand(command, body = "") {
        if (command.methodName !== NEW_CHAT) {
            return super.executeCommand(...arguments);
        }
        const chat = await this.store.startAiChat(this.ai_assistant_partner_id);
        const question = body.slice(`/${NEW_CHAT}`.length).trim();
        if (question) {
            await chat.post(question);
        }
    },
};
patch(Thread.prototype, threadPatch);
