import { _t } from "@web/core/l10n/translation";

/**
 * What people read of a run that has failed, by its `error_code` (services/errors.py): one sentence each. The server's own
 * words, which are for programs too and name hosts and limits, stand behind it.
 *
 * @typedef {Object} ErrorText
 * @property {string} text
 * @property {string} [settings] how a manager gets to what has to be changed; without it nothing has to
 * @property {boolean} [isForManagers] whether trying again is of no use before a manager has changed something
 */

/** @type {Object<string, ErrorText>} */
const ERROR_TEXTS = {
    access_denied: {
        text: _t("Whoever asked may not use this assistant here, or may not any more."),
        settings: _t("Open the assistant"),
        isForManagers: true,
    },
    internal_error: { text: _t("Something went wrong while the assistant was answering.") },
    interrupted: { text: _t("The reply was interrupted again and again, and has been given up.") },
    model_auth: {
        text: _t("The model's provider does not accept the assistant's key."),
        settings: _t("Open the provider"),
        isForManagers: true,
    },
    model_empty: {
        text: _t("The model has answered with nothing at all."),
        settings: _t("Open the assistant"),
    },
    model_error: {
        text: _t("The model's provider could not answer this."),
        settings: _t("Open the provider"),
    },
    model_rate_limited: {
        text: _t("The model's provider takes no more requests for now: try again in a minute."),
        settings: _t("Open the provider"),
    },
    model_timeout: {
        text: _t("The model took too long to answer."),
        settings: _t("Open the provider"),
    },
    model_unreachable: {
        text: _t("The model's provider cannot be reached."),
        settings: _t("Open the provider"),
    },
    not_configured: {
        text: _t("The assistant is not completely set up."),
        settings: _t("Open the assistant"),
        isForManagers: true,
    },
    rate_limited: {
        text: _t("No more replies are allowed for now."),
        settings: _t("Open the budget"),
    },
    run_timeout: {
        text: _t("The reply took longer than it may."),
        settings: _t("Open the assistant"),
    },
};

/**
 * @param {string} code
 * @returns {ErrorText}
 */
export function errorText(code) {
    return ERROR_TEXTS[code] ?? ERROR_TEXTS.internal_error;
}

/**
 * @param {import("models").AiRun} run one that has failed
 * @returns {string} why; of a budget the server says which it is and when it begins anew, in the language of who asked
 */
export function reasonOf(run) {
    const isBudget = run.error_code === "rate_limited";
    return (isBudget && run.error_message) || errorText(run.error_code).text;
}
