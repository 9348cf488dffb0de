import { Approval } from "@ai_discuss/approval/common/approval";
import { ToolCallFiles } from "@ai_discuss/tool_call/common/tool_call_files";

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
 * @property {function} [onDecided] called when the person has decided on it
 * @property {boolean} [unfolded] whether it is unfolded until the person folds it
 * @extends {Component<Props, Env>}
 */
export class ToolCall extends Component {
    static template = "ai_discuss.ToolCall";
    static components = { Approval, ToolCallFiles };
    static props = ["toolCall", "onDecided?", "unfolded?"];

    setup() {
        super.setup();
        /** @type {{ isUnfolded: boolean|undefined }} as the person wants it; undefined until they say so */
        this.state = useState({ isUnfolded: undefined });
    }

    /** What waits for a decision is in plain sight, as long as it does. */
    get isUnfolded() {
        const isOfInterest = this.props.unfolded || this.props.toolCall.state === "approval";
        return this.state.isUnfolded ?? Boolean(isOfInterest);
    }

    get stateInfo() {
        return STATES[this.props.toolCall.state];
    }

    /** @param {Event} ev */
    onToggle(ev) {
        if (ev.currentTarget.open !== this.isUnfolded) {
            this.state.isUnfolded = ev.currentTarget.open;
        }
    }
}
