import { CopyText } from "@ai_discuss/tool_call/common/copy_text";

import { Component } from "@odoo/owl";

import { _t } from "@web/core/l10n/translation";

/**
 * A text that belongs to a call, below its name: to read, to scroll where it is long, and to copy.
 *
 * @typedef {Object} Props
 * @property {boolean} [isError]
 * @property {string} label
 * @property {string} name which text of the call it is, for style sheets and tests
 * @property {string} text
 * @extends {Component<Props, Env>}
 */
export class ToolCallText extends Component {
    static template = "ai_discuss.ToolCallText";
    static components = { CopyText };
    static props = ["isError?", "label", "name", "text"];

    get copyLabel() {
        return _t("Copy: %(what)s", { what: this.props.label });
    }
}
