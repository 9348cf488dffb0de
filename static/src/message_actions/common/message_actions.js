import { messageActionsRegistry, registerMessageAction } from "@mail/core/common/message_actions";

import { _t } from "@web/core/l10n/translation";
import { patch } from "@web/core/utils/patch";

registerMessageAction("ai-edit-resend", {
    condition: ({ message }) => message.canResend,
    icon: "fa fa-pencil-square-o",
    name: _t("Edit and Resend"),
    onSelected: async ({ message, owner, thread }) => {
        owner.optionsDropdown?.close();
        await message.enterEditMode(thread);
        message.isToResend = true;
    },
    sequence: 15,
});
registerMessageAction("ai-fork", {
    condition: ({ message }) => message.canFork,
    icon: "fa fa-code-fork",
    name: _t("Fork from Here"),
    onSelected: ({ message }) => message.aiFork(),
    sequence: 105,
});

/** A reply is copied as its assistant wrote it, with the button below it. */
patch(messageActionsRegistry.get("copy-message"), {
    condition({ message }) {
        return !message.aiRun && super.condition(...arguments);
    },
});
