import { ToolCall } from "@ai_discuss/tool_call/common/tool_call";

import { Component, useEffect, useRef } from "@odoo/owl";

import { _t } from "@web/core/l10n/translation";

/**
 * A reply that is being made, at the foot of its conversation: the tool calls so far, and what waits for a decision.
 *
 * @typedef {Object} Props
 * @property {import("models").AiRun} run
 * @extends {Component<Props, Env>}
 */
export class ActiveRun extends Component {
    static template = "ai_discuss.ActiveRun";
    static components = { ToolCall };
    static props = ["run"];

    setup() {
        super.setup();
        this.root = useRef("root");
        // Who has scrolled to the end stays there: the thread doesn't see that this grows.
        useEffect(() => this.env.onImageLoaded?.());
    }

    /** Whether it waits for a decision; that it works is said by "is typing". */
    get statusText() {
        const run = this.props.run;
        if (!run.callsToDecide.length) {
            return "";
        }
        return run.isControllable ? _t("needs your approval") : _t("needs an approval");
    }

    /**
     * Who decides with the keyboard goes on with it: to the next decision, or to the composer.
     *
     * @param {import("models").AiToolCall} decided
     */
    onDecided(decided) {
        const next = this.root.el?.querySelector(
            `.o-ai-Approval:not([data-id='${decided.id}']) .o-ai-Approval-approve:not(:disabled)`
        );
        if (next) {
            next.focus();
        } else {
            this.props.run.channel_id.composer.autofocus++;
        }
    }
}
