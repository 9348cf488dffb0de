import { _t } from "@web/core/l10n/translation";
import { registry } from "@web/core/registry";

registry.category("discuss.channel_commands").add("stop", {
    condition: ({ store, thread }) =>
        store.self_partner?.main_user_id?.share === false &&
        (thread.has_ai_assistant || thread.aiActiveRuns.length > 0),
    help: _t("Stop the assistant's reply"),
    methodName: "execute_command_ai_stop",
});
