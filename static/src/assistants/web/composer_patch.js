import { Composer } from "@mail/core/common/composer";

import { _t } from "@web/core/l10n/translation";
import { patch } from "@web/core/utils/patch";

/** @type {Composer} */
const composerPatch = {
    /** @override A conversation is named after its first question, which says nothing about whom one writes to. */
    get placeholder() {
        const assistant = this.thread?.isAloneWithAssistant && this.thread.ai_assistant_partner_id;
        return this.props.placeholder || !assistant
            ? super.placeholder
            : _t("Ask %(assistant)s…", { assistant: assistant.name });
    },
};
patch(Composer.prototype, composerPatch);
