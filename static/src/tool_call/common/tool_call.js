import { Approval } from "@ai_discuss/approval/common/approval";
import { Elapsed } from "@ai_discuss/tool_call/common/elapsed";
import { ToolCallFiles } from "@ai_discuss/tool_call/common/tool_call_files";
import { ToolCallText } from "@ai_discuss/tool_call/common/tool_call_text";

import { Component } from "@odoo/owl";

import { _t } from "@web/core/l10n/translation";
import { url } from "@web/core/utils/urls";

const { DateTime } = luxon;

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
    static components = { Approval, Elapsed, ToolCallFiles, ToolCallText };
    static props = ["toolCall", "onDecided?", "unfolded?"];

    /** What waits for a decision is in plain sight, as long as it does. */
    get isUnfolded() {
        const { toolCall, unfolded } = this.props;
        return toolCall.isUnfolded ?? Boolean(unfolded || toolCall.state === "approval");
    }

    get stateInfo() {
        return STATES[this.props.toolCall.state];
    }

    get argumentsLabel() {
        return this.props.toolCall.proposed_arguments ? _t("Arguments (changed)") : _t("Arguments");
    }

    get responseLabel() {
        const { is_error, truncated } = this.props.toolCall;
        if (is_error) {
            return truncated ? _t("Error (shortened)") : _t("Error");
        }
        return truncated ? _t("Result (shortened)") : _t("Result");
    }

    get structuredLabel() {
        return _t("Data");
    }

    /** The time of day where it was today, else the day as well. */
    get decidedAtText() {
        const moment = this.props.toolCall.decided_at;
        const isToday = moment.hasSame(DateTime.now(), "day");
        return moment.toLocaleString(isToday ? DateTime.TIME_SIMPLE : DateTime.DATETIME_SHORT);
    }

    get decidedAtTitle() {
        return this.props.toolCall.decided_at.toLocaleString(DateTime.DATETIME_FULL);
    }

    /** @param {import("models").Attachment} sound */
    soundUrl(sound) {
        return url(sound.urlRoute, { ...sound.urlQueryParams });
    }

    /** At once, and not when the browser has toggled: this may be rendered anew in between. */
    onClickSummary() {
        this.props.toolCall.isUnfolded = !this.isUnfolded;
    }
}
