import { Component } from "@odoo/owl";

import { _t } from "@web/core/l10n/translation";

/** An assistant in the command palette: its face, its name, and what it is for. */
export class AssistantCommand extends Component {
    static template = "ai_discuss.AssistantCommand";
    static props = {
        assistant: Object,
        executeCommand: Function,
        name: String,
        searchValue: String,
        slots: Object,
    };
}

/**
 * The command palette that asks with whom to begin a conversation.
 *
 * @param {import("models").Store} store
 */
export function assistantChoice(store) {
    return {
        configByNamespace: {
            default: {
                emptyMessage: store.aiAssistants.length
                    ? _t("No assistant of that name")
                    : _t("There is no assistant for you yet. A manager of assistants can set one up."),
                placeholder: _t("Whom do you want to ask?"),
            },
        },
        providers: [
            {
                namespace: "default",
                provide: () =>
                    store.aiAssistants.map((assistant) => ({
                        action: () => void store.startAiChat(assistant),
                        Component: AssistantCommand,
                        name: assistant.name,
                        props: { assistant },
                    })),
            },
        ],
    };
}
