import { Component, useState } from "@odoo/owl";

import { _t } from "@web/core/l10n/translation";

const STATES = {
    pending: { icon: "fa-clock-o text-muted", label: _t("Pending") },
    approval: { icon: "fa-hand-paper-o text-warning", label: _t("Waiting for approval") },
    invoking: { icon: "fa-circle-o-notch fa-spin text-info", label: _t("Running") },
    done: { icon: "fa-check-circle text-success", label: _t("Done") },
    error: { icon: "fa-times-circle text-danger", label: _t("Failed") },
    denied: { icon: "fa-ban text-danger", label: _t("Denied") },
    cancelled: { icon: "fa-stop-circle text-muted", label: _t("Cancelled") },
};

/**
 * One tool call: a line with its state, its tool and its server; unfolded, with its arguments and its result.
 *
 * @typedef {Object} Props
 * @property {import("models").AiToolCall} toolCall
 * @property {boolean} [unfolded] whether it is unfolded at first
 * @extends {Component<Props, Env>}
 */
export class ToolCall extends Component {
    static template = "ai_discuss.ToolCall";
    static props = ["toolCall", "unfolded?"];

    setup() {
        super.setup();
        this.state = useState({ isUnfolded: Boolean(this.props.unfolded) });
    }

    get stateInfo() {
        return STATES[this.props.toolCall.state];
    }

    /** @param {Event} ev */
    onToggle(ev) {
        this.state.isUnfolded = ev.currentTarget.open;
    }
}
