import { _t } from "@web/core/l10n/translation";

/** What can be said of these codes without knowing more; the rest is told in the server's words. */
const TEXTS = {
    calls_refused: _t("The tools could not be used several times in a row, so the assistant answered without them."),
    history_trimmed: _t("The conversation is long: the assistant sees only its most recent part."),
    results_shortened: _t("The tools returned more than the assistant can read at once: it sees only a part."),
    round_limit: _t("The assistant has used as many steps as it may in one reply."),
    time_limit: _t("The time for this reply was almost over, so the assistant finished early."),
};

/** @param {{ code: string, message: string }} notice */
export function noticeText({ code, message }) {
    return TEXTS[code] ?? message;
}
