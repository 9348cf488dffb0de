import { _t } from "@web/core/l10n/translation";
import { registry } from "@web/core/registry";

registry.category("discuss.channel_commands").add("tools", {
    condition: ({ store, thread }) =>
        store.self_partner?.main_user_id?.share === false && thread.has_ai_assistant,
    help: _t("List what the assistant can use for you"),
    methodName: "execute_command_ai_tools",
});
