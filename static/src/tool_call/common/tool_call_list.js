import { ToolCall } from "@ai_discuss/tool_call/common/tool_call";

import { Component, useState } from "@odoo/owl";

import { _t } from "@web/core/l10n/translation";

/**
 * The tool calls of one reply, folded into a line that says how many there are.
 *
 * @typedef {Object} Props
 * @property {import("models").AiToolCall[]} toolCalls
 * @extends {Component<Props, Env>}
 */
export class ToolCallList extends Component {
    static template = "ai_discuss.ToolCallList";
    static components = { ToolCall };
    static props = ["toolCalls"];

    setup() {
        super.setup();
        this.state = useState({ isUnfolded: false });
    }

    get title() {
        const names = new Set(this.props.toolCalls.map((call) => call.display_name));
        if (this.props.toolCalls.every((call) => ["denied", "cancelled"].includes(call.state))) {
            return names.size > 1
                ? _t("Did not use %(count)s tools", { count: names.size })
                : _t("Did not use %(tool)s", { tool: [...names][0] });
        }
        return names.size > 1
            ? _t("Used %(count)s tools", { count: names.size })
            : _t("Used %(tool)s", { tool: [...names][0] });
    }

    /** How many calls there were, where that is more than the title says. */
    get countText() {
        const names = new Set(this.props.toolCalls.map((call) => call.display_name));
        const count = this.props.toolCalls.length;
        return count > names.size ? _t("%(count)s calls", { count }) : "";
    }

    get failedText() {
        const count = this._countIn("error");
        return count ? _t("%(count)s failed", { count }) : "";
    }

    get deniedText() {
        const count = this._countIn("denied");
        return count ? _t("%(count)s denied", { count }) : "";
    }

    /** @param {string} state */
    _countIn(state) {
        return this.props.toolCalls.filter((call) => call.state === state).length;
    }

    /** @param {Event} ev */
    onToggle(ev) {
        this.state.isUnfolded = ev.currentTarget.open;
    }
}
