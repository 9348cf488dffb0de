import { RelativeTime } from "@mail/core/common/relative_time";

import { Component, useState } from "@odoo/owl";

import { _t } from "@web/core/l10n/translation";

const { DateTime } = luxon;

/**
 * What a person has to know of a call that waits for a decision, beside its arguments; and the decision, for whoever
 * may make it.
 *
 * @typedef {Object} Props
 * @property {import("models").AiToolCall} toolCall
 * @property {function} [onDecided] called when the server has taken the decision
 * @extends {Component<Props, Env>}
 */
export class Approval extends Component {
    static template = "ai_discuss.Approval";
    static components = { RelativeTime };
    static props = ["toolCall", "onDecided?"];

    setup() {
        super.setup();
        /** @type {{ sent: "approve"|"deny"|null }} the decision that was sent, until the bus tells what came of it */
        this.state = useState({ sent: null });
    }

    get run() {
        return this.props.toolCall.run_id;
    }

    get askedByText() {
        return _t("Asked by %(name)s", { name: this.run.user_id?.name });
    }

    get waitingText() {
        return _t("Waiting for %(name)s to decide", { name: this.run?.user_id?.name });
    }

    get expiryText() {
        return _t("If nobody decides until %(moment)s, the call is denied.", {
            moment: this.props.toolCall.expires_at.toLocaleString(DateTime.DATETIME_MED),
        });
    }

    /** For those who hear the button without seeing the card around it. */
    get approveLabel() {
        return _t("Approve %(tool)s", { tool: this.props.toolCall.display_name });
    }

    get denyLabel() {
        return _t("Deny %(tool)s", { tool: this.props.toolCall.display_name });
    }

    /** @param {"approve"|"deny"} decision */
    async decide(decision) {
        this.state.sent = decision;
        if (await this.run.command(decision, { id: this.props.toolCall.call_id })) {
            this.props.onDecided?.(this.props.toolCall);
        } else {
            this.state.sent = null;
        }
    }
}
