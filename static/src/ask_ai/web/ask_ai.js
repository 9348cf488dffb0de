import { Component, useState } from "@odoo/owl";

import { Dropdown } from "@web/core/dropdown/dropdown";
import { DropdownItem } from "@web/core/dropdown/dropdown_item";
import { useService } from "@web/core/utils/hooks";

/**
 * The button in a chatter that opens a conversation with an assistant beside the record; where there are several
 * assistants, the person chooses one.
 *
 * @typedef {Object} Props
 * @property {(assistant: import("models").ResPartner) => Promise<void>} ask
 * @property {boolean} [compact] whether there is little room above and below it
 * @property {boolean} [disabled]
 * @extends {Component<Props, Env>}
 */
export class AskAi extends Component {
    static template = "ai_discuss.AskAi";
    static components = { Dropdown, DropdownItem };
    static props = ["ask", "compact?", "disabled?"];

    setup() {
        super.setup();
        this.store = useService("mail.store");
        this.state = useState({ isOpening: false });
    }

    get assistants() {
        return this.store.aiAssistants;
    }

    /** @param {import("models").ResPartner} assistant */
    async ask(assistant) {
        this.state.isOpening = true;
        try {
            await this.props.ask(assistant);
        } finally {
            this.state.isOpening = false;
        }
    }
}
