import { registry } from "@web/core/registry";
import { BadgeField, badgeField } from "@web/views/fields/badge/badge_field";

const DECORATIONS = { auto: "success", ask: "warning", never: "danger" };

/**
 * On an assistant's form, beside each of its tools: what happens when this assistant calls it. The field itself knows
 * nothing of the assistant, whose rule may be stricter.
 */
export class ToolPolicyField extends BadgeField {
    get policy() {
        const { name, record } = this.props;
        const asking = record._parentRecord.data.asking_tool_ids.currentIds;
        return asking.includes(record.resId) ? "ask" : record.data[name];
    }

    get formattedValue() {
        const { name, record } = this.props;
        return Object.fromEntries(record.fields[name].selection)[this.policy];
    }

    get badgeClass() {
        return `text-bg-${DECORATIONS[this.policy]}`;
    }
}

registry.category("fields").add("ai_tool_policy", {
    ...badgeField,
    component: ToolPolicyField,
    supportedTypes: ["selection"],
});
