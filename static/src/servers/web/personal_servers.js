import { PersonalServer } from "@ai_discuss/servers/web/personal_server";
import { PersonalServerForm } from "@ai_discuss/servers/web/personal_server_form";

import { Component, useRef, useState } from "@odoo/owl";

/**
 * The MCP servers that the person brings along, wherever they are used, and those that others share with a conversation.
 *
 * @typedef {Object} Props
 * @property {boolean} isMember whether the person is a member of the conversation, and so may use their servers there
 * @property {function} onChanged called when the server has done something
 * @property {Object[]} servers as `discuss.channel.ai_settings` tells them
 * @property {import("models").Thread} thread
 * @extends {Component<Props, Env>}
 */
export class PersonalServers extends Component {
    static template = "ai_discuss.PersonalServers";
    static components = { PersonalServer, PersonalServerForm };
    static props = ["isMember", "onChanged", "servers", "thread"];

    setup() {
        super.setup();
        this.addButton = useRef("add");
        /** @type {{ addedId: number|undefined, isAdding: boolean }} `addedId`: of what is there, but still being added */
        this.state = useState({ addedId: undefined, isAdding: false });
    }

    get ownServers() {
        return this.props.servers.filter(
            (server) => server.mine && server.id !== this.state.addedId
        );
    }

    get sharedServers() {
        return this.props.servers.filter((server) => !server.mine);
    }

    onClose() {
        Object.assign(this.state, { addedId: undefined, isAdding: false });
        this.addButton.el?.focus();
    }
}
