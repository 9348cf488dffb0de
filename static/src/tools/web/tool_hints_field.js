import { _t } from "@web/core/l10n/translation";
import { registry } from "@web/core/registry";
import { standardFieldProps } from "@web/views/fields/standard_field_props";

import { Component } from "@odoo/owl";

const HINTS = {
    read_only: {
        label: _t("Read-only"),
        title: _t("The server says that this tool changes nothing."),
        class: "text-bg-success",
    },
    destructive: {
        label: _t("Destructive"),
        title: _t("The server says that this tool may delete or overwrite."),
        class: "text-bg-danger",
    },
    idempotent: {
        label: _t("Repeatable"),
        title: _t("The server says that calling this tool twice is as good as once."),
        class: "text-bg-info",
    },
};

/**
 * What a server says of one of its tools, as badges. A tool that only reads can neither destroy nor repeat a change: then
 * nothing else is shown.
 */
export class ToolHintsField extends Component {
    static template = "ai_discuss.ToolHintsField";
    static props = { ...standardFieldProps };

    get hints() {
        const { data } = this.props.record;
        const names = data.read_only ? ["read_only"] : ["destructive", "idempotent"];
        return names.filter((name) => data[name]).map((name) => ({ name, ...HINTS[name] }));
    }
}

registry.category("fields").add("ai_tool_hints", {
    component: ToolHintsField,
    displayName: _t("Hints of a tool's server"),
    supportedTypes: ["boolean"],
    fieldDependencies: Object.keys(HINTS).map((name) => ({ name, type: "boolean" })),
});
