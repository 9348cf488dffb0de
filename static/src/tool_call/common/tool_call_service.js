import { registry } from "@web/core/registry";

/** Keeps tool calls true in every open tab, as their states change on the server. */
export const toolCallService = {
    dependencies: ["bus_service", "mail.store"],
    start(env, { bus_service: bus, "mail.store": store }) {
        bus.subscribe("assistant.toolCall.updated", (toolCall) => {
            store["ai.tool.call"].insert(toolCall);
        });
    },
};

registry.category("services").add("ai_discuss.tool_call", toolCallService);
