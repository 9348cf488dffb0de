import { Elapsed } from "@ai_discuss/tool_call/common/elapsed";
import { ToolCall } from "@ai_discuss/tool_call/common/tool_call";

import { Component } from "@odoo/owl";

import { _t } from "@web/core/l10n/translation";

/**
 * The tool calls of one reply, folded into a line that says what is being done, or how many there were. The same while
 * the reply is made and once it is there: what a person has unfolded stays so.
 *
 * @typedef {Object} Props
 * @property {function} [onDecided] called when the person has decided on one of the calls
 * @property {import("models").AiToolCall[]} toolCalls
 * @extends {Component<Props, Env>}
 */
export class ToolCallList extends Component {
    static template = "ai_discuss.ToolCallList";
    static components = { Elapsed, ToolCall };
    static props = ["onDecided?", "toolCalls"];

    get run() {
        return this.props.toolCalls[0].run_id;
    }

    /** What waits for a decision is in plain sight, as long as it does. */
    get isUnfolded() {
        return this.run?.areCallsUnfolded ?? this.waitingCalls.length > 0;
    }

    get waitingCalls() {
        return this._callsIn("approval");
    }

    /** The calls that are on their way. */
    get openCalls() {
        return this._callsIn("pending", "invoking");
    }

    /** The one call that is being made, where it is only one: there is room to say how far it is. */
    get runningCall() {
        return this.openCalls.length === 1 && !this.waitingCalls.length
            ? this.openCalls[0]
            : undefined;
    }

    /** Since when any of them runs; zero while none does. */
    get runningSince() {
        const moments = this._callsIn("invoking").map((call) => call.runningSince);
        return moments.length && !this.waitingCalls.length ? Math.min(...moments) : 0;
    }

    get icon() {
        if (this.waitingCalls.length) {
            return "fa-hand-paper-o text-warning";
        }
        return this.openCalls.length ? "fa-circle-o-notch fa-spin text-info" : "fa-wrench opacity-75";
    }

    get title() {
        if (this.waitingCalls.length) {
            return titleOf(this.waitingCalls, {
                one: (tool) => _t("Wants to use %(tool)s", { tool }),
                many: (count) => _t("Wants to use %(count)s tools", { count }),
            });
        }
        if (this.openCalls.length) {
            return titleOf(this.openCalls, {
                one: (tool) => _t("Using %(tool)s", { tool }),
                many: (count) => _t("Using %(count)s tools", { count }),
            });
        }
        if (this._callsIn("denied", "cancelled").length === this.props.toolCalls.length) {
            return titleOf(this.props.toolCalls, {
                one: (tool) => _t("Did not use %(tool)s", { tool }),
                many: (count) => _t("Did not use %(count)s tools", { count }),
            });
        }
        return titleOf(this.props.toolCalls, {
            one: (tool) => _t("Used %(tool)s", { tool }),
            many: (count) => _t("Used %(count)s tools", { count }),
        });
    }

    /** How many calls there were, where that is more than the title says. */
    get countText() {
        const names = new Set(this.props.toolCalls.map((call) => call.display_name));
        const count = this.props.toolCalls.length;
        return count > names.size && !this.openCalls.length && !this.waitingCalls.length
            ? _t("%(count)s calls", { count })
            : "";
    }

    get failedText() {
        const count = this._callsIn("error").length;
        return count ? _t("%(count)s failed", { count }) : "";
    }

    get deniedText() {
        const count = this._callsIn("denied").length;
        return count ? _t("%(count)s denied", { count }) : "";
    }

    /** The calls by the reply of the model that asked for them: those of one step it wanted at once. */
    get steps() {
        const steps = new Map();
        for (const call of this.props.toolCalls) {
            if (!steps.has(call.round)) {
                steps.set(call.round, []);
            }
            steps.get(call.round).push(call);
        }
        return [...steps.values()].map((calls, index) => ({
            calls,
            label: steps.size > 1 ? _t("Step %(number)s", { number: index + 1 }) : "",
        }));
    }

    /** @param {...string} states */
    _callsIn(...states) {
        return this.props.toolCalls.filter((call) => states.includes(call.state));
    }

    /** At once, and not when the browser has toggled: this may be rendered anew in between. */
    onClickSummary() {
        if (this.run) {
            this.run.areCallsUnfolded = !this.isUnfolded;
        }
    }
}

/**
 * @param {import("models").AiToolCall[]} calls
 * @param {{ one: function(string): string, many: function(number): string }} words
 * @returns {string} about their one tool by its name, about several by their number
 */
function titleOf(calls, { one, many }) {
    const names = new Set(calls.map((call) => call.display_name));
    return names.size > 1 ? many(names.size) : one([...names][0]);
}
