import { assistantChoice } from "@ai_discuss/assistants/web/assistant_choice";

import { DiscussCommandPalette } from "@mail/discuss/core/public_web/discuss_command_palette";
import { cleanTerm } from "@mail/utils/common/format";

import { _t } from "@web/core/l10n/translation";
import { registry } from "@web/core/registry";
import { patch } from "@web/core/utils/patch";

const AI_ASSISTANTS = "AI_ASSISTANTS";
const NEW_AI_CHAT = "NEW_AI_CHAT";
const NEW_GROUP_CHAT = "NEW_GROUP_CHAT"; // Discuss's own, which looks like ours
const LIMIT = 5;

registry
    .category("command_categories")
    .add(AI_ASSISTANTS, { namespace: "@", name: _t("Assistants") }, { sequence: 30 });

patch(DiscussCommandPalette.prototype, {
    /** @override Only people with users are found otherwise. */
    buildResults() {
        super.buildResults(...arguments);
        const { aiAssistants } = this.store;
        const found = aiAssistants.filter(
            (assistant) =>
                cleanTerm(assistant.displayName).includes(this.cleanedTerm) &&
                !this.commands.some((command) => command.props.persona?.eq(assistant))
        );
        for (const assistant of found.slice(0, LIMIT)) {
            this.commands.push(this.makeDiscussCommand(assistant, AI_ASSISTANTS));
        }
        if (aiAssistants.length) {
            this.commands.push(this.makeDiscussCommand(NEW_AI_CHAT));
        }
    },
    /** @override */
    makeDiscussCommand(threadOrPersona) {
        if (threadOrPersona !== NEW_AI_CHAT) {
            return super.makeDiscussCommand(...arguments);
        }
        const { aiAssistants } = this.store;
        const isChoice = aiAssistants.length > 1;
        return {
            ...super.makeDiscussCommand(NEW_GROUP_CHAT),
            // The palette stays open for what an action returns.
            action: () =>
                isChoice ? assistantChoice(this.store) : void this.store.startAiChat(aiAssistants[0]),
            name: isChoice
                ? _t("New Chat with an Assistant")
                : _t("New Chat with %(assistant)s", { assistant: aiAssistants[0].name }),
            props: { action: { icon: "fa-magic" } },
        };
    },
});
