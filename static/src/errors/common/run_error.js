import { errorText, reasonOf } from "@ai_discuss/errors/common/error_texts";

import { Component } from "@odoo/owl";

import { useService } from "@web/core/utils/hooks";

/**
 * Why a reply is missing, or not complete: one sentence, what can be done about it, and behind it the server's own words.
 *
 * @typedef {Object} Props
 * @property {import("models").AiRun} run
 * @extends {Component<Props, Env>}
 */
export class RunError extends Component {
    static template = "ai_discuss.RunError";
    static props = ["run"];

    setup() {
        super.setup();
        this.store = useService("mail.store");
    }

    get run() {
        return this.props.run;
    }

    get errorText() {
        return errorText(this.run.error_code);
    }

    get isBudget() {
        return this.run.error_code === "rate_limited";
    }

    get text() {
        return reasonOf(this.run);
    }

    get details() {
        return this.text === this.run.error_message ? "" : this.run.error_message;
    }

    get needsManager() {
        return Boolean(this.errorText.isForManagers) && !this.store.is_ai_manager;
    }

    get settingsLabel() {
        return this.store.is_ai_manager ? this.errorText.settings : undefined;
    }

    async openSettings() {
        const { action, orm } = this.env.services;
        action.doAction(await orm.call("ai.run", "action_view_settings", [[this.run.id]]));
    }
}
