import { Composer } from "@mail/core/common/composer";

import { _t } from "@web/core/l10n/translation";
import { patch } from "@web/core/utils/patch";

patch(Composer.prototype, {
    /** Which of the attached files the conversation's assistant cannot read; empty where there are none. */
    get aiUnreadableText() {
        const { attachments, message } = this.props.composer;
        const files = attachments.filter((file) => file.isUnreadableForAi);
        if (message || !this.thread?.has_ai_assistant || !files.length) {
            return "";
        }
        return _t("The assistant cannot read: %(files)s", {
            files: files.map((file) => file.name).join(", "),
        });
    },
});
