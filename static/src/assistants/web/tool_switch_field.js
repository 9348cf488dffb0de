import { CheckBox } from "@web/core/checkbox/checkbox";
import { _t } from "@web/core/l10n/translation";
import { registry } from "@web/core/registry";
import { standardFieldProps } from "@web/views/fields/standard_field_props";

import { Component } from "@odoo/owl";

/**
 * On an assistant's form, beside each of its tools: whether this assistant uses it. The field itself, whether the tool is
 * on at all, doesn't change: the tool goes into the assistant's `disabled_tool_ids`, or out of them, and the form saves.
 */
export class ToolSwitchField extends Component {
    static template = "ai_discuss.ToolSwitchField";
    static components = { CheckBox };
    static props = { ...standardFieldProps };

    get assistant() {
        return this.props.record._parentRecord;
    }

    get disabledTools() {
        return this.assistant.data.disabled_tool_ids;
    }

    /** A tool that is off for everybody cannot be given to one assistant. */
    get isAvailable() {
        const { name, record } = this.props;
        return record.data[name] && record.data.policy !== "never";
    }

    get isOn() {
        return this.isAvailable && !this.disabledTools.currentIds.includes(this.props.record.resId);
    }

    get isReadonly() {
        return !this.isAvailable || !this.assistant.isInEdition;
    }

    get title() {
        if (!this.isAvailable) {
            return _t("Off for every assistant: see the tool on its MCP server.");
        }
        return this.isOn
            ? _t("This assistant uses the tool.")
            : _t("This assistant does without the tool.");
    }

    onChange(isOn) {
        const ids = [this.props.record.resId];
        return this.disabledTools.addAndRemove(isOn ? { remove: ids } : { add: ids });
    }
}

registry.category("fields").add("ai_tool_switch", {
    component: ToolSwitchField,
    displayName: _t("Switch for a tool of an assistant"),
    supportedTypes: ["boolean"],
    fieldDependencies: [{ name: "policy", type: "selection" }],
});
