import { _t } from "@web/core/l10n/translation";
import { registry } from "@web/core/registry";

const CATEGORY = "ai_assistants";

registry.category("command_categories").add(CATEGORY, { name: _t("Assistants") }, { sequence: 46 });

registry.category("command_provider").add("ai_discuss.new_chat", {
    provide: (env) => {
        const store = env.services["mail.store"];
        return store.aiAssistants.map((assistant) => ({
            action: () => void store.startAiChat(assistant),
            category: CATEGORY,
            name: _t("New chat with %(assistant)s", { assistant: assistant.name }),
        }));
    },
});
