import { Welcome } from "@ai_discuss/welcome/web/welcome";

import { _t } from "@web/core/l10n/translation";
import { patch } from "@web/core/utils/patch";

const PROMPTS = [
    _t("Summarize this record"),
    _t("What was said last, and what is still open?"),
    _t("Draft an answer to the last message"),
];

patch(Welcome.prototype, {
    /** @override Beside a record, what one can ask about any record; the assistant's own suggestions don't know of it. */
    get prompts() {
        const prompts = super.prompts;
        return this.props.thread.ai_record && this.isAvailable && this.isFresh ? PROMPTS : prompts;
    },
});
