import { Elapsed } from "@ai_discuss/tool_call/common/elapsed";

import { Component, useState } from "@odoo/owl";

import { _t } from "@web/core/l10n/translation";

/**
 * How the model came to its reply, folded into a line that says how long it has thought.
 *
 * @typedef {Object} Props
 * @property {import("models").AiRun} run
 * @extends {Component<Props, Env>}
 */
export class Reasoning extends Component {
    static template = "ai_discuss.Reasoning";
    static components = { Elapsed };
    static props = ["run"];

    setup() {
        super.setup();
        this.state = useState({ isUnfolded: false });
    }

    get isThinking() {
        return this.props.run.isActive && this.props.run.thinkingSince > 0;
    }

    get title() {
        if (this.isThinking) {
            return _t("Thinking…");
        }
        const seconds = Math.round(this.props.run.thinkingMs / 1000);
        return seconds ? _t("Thought for %(count)s s", { count: seconds }) : _t("Thought for a moment");
    }

    /** Since when it has thought, all its thinking taken together. */
    get since() {
        return this.props.run.thinkingSince - this.props.run.thinkingMs;
    }

    /** @param {Event} ev */
    onToggle(ev) {
        this.state.isUnfolded = ev.currentTarget.open;
    }
}
