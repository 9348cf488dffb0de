import { Component } from "@odoo/owl";

import { useService } from "@web/core/utils/hooks";

const TO_BE_COMPLETED = /(…|\.\.\.|:)$/;

/**
 * How a conversation with an assistant begins: who it is, what it is for, and what people could ask.
 *
 * @typedef {Object} Props
 * @property {import("models").Thread} thread
 * @extends {Component<Props, Env>}
 */
export class Welcome extends Component {
    static template = "ai_discuss.Welcome";
    static props = ["thread"];

    setup() {
        super.setup();
        this.store = useService("mail.store");
    }

    get assistant() {
        const { ai_assistant_partner_id, correspondent } = this.props.thread;
        return ai_assistant_partner_id ?? correspondent.persona;
    }

    /** Whether it answers the person: assistants are archived, and taken away from people. */
    get isAvailable() {
        return this.assistant.in(this.store.aiAssistants);
    }

    /** Whether nobody has said anything yet; answers to commands are no part of the conversation. */
    get isFresh() {
        const { thread } = this.props;
        return !thread.messages.some((message) => !message.isNotification && !message.is_transient);
    }

    get prompts() {
        return this.isAvailable && this.isFresh ? this.assistant.ai_prompts : [];
    }

    /** @param {string} prompt */
    onClickPrompt(prompt) {
        const { thread } = this.props;
        if (TO_BE_COMPLETED.test(prompt)) {
            thread.composer.composerText = "";
            thread.composer.insertText(`${prompt.replace(/(…|\.\.\.)$/, "").trimEnd()} `, 0);
            thread.composer.autofocus++;
        } else {
            thread.scrollTop = "bottom";
            thread.post(prompt);
            thread.focusAiComposer();
        }
    }
}
