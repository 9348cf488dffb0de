import { useRequest } from "@ai_discuss/channel_settings/web/request_hook";
import { PersonalServerForm } from "@ai_discuss/servers/web/personal_server_form";

import { Component, useRef, useState } from "@odoo/owl";

import { ConfirmationDialog } from "@web/core/confirmation_dialog/confirmation_dialog";
import { _t } from "@web/core/l10n/translation";
import { useService } from "@web/core/utils/hooks";

const STATES = {
    connected: { class: "text-success", label: _t("Connected") },
    draft: { class: "text-muted", label: _t("Not connected") },
    error: { class: "text-danger", label: _t("Cannot be used") },
};

/**
 * One of the person's own servers: how it is doing, whether it is used in this conversation, and what can be done with it.
 *
 * @typedef {Object} Props
 * @property {boolean} isMember
 * @property {function} onChanged
 * @property {Object} server
 * @property {import("models").Thread} thread
 * @extends {Component<Props, Env>}
 */
export class PersonalServer extends Component {
    static template = "ai_discuss.PersonalServer";
    static components = { PersonalServerForm };
    static props = ["isMember", "onChanged", "server", "thread"];

    setup() {
        super.setup();
        this.dialog = useService("dialog");
        this.editButton = useRef("edit");
        this.request = useRequest();
        /** @type {{ doing: string, isEditing: boolean, result: string }} `doing`: the name of what is under way */
        this.state = useState({ doing: "", isEditing: false, result: "" });
    }

    get stateInfo() {
        return STATES[this.props.server.state];
    }

    get stateText() {
        const { state, tool_count: count } = this.props.server;
        if (state !== "connected") {
            return this.stateInfo.label;
        }
        return count === 1 ? _t("Connected, 1 tool") : _t("Connected, %(count)s tools", { count });
    }

    /** Alone with an assistant there is nobody to share it with. */
    get isShareable() {
        const { server, thread } = this.props;
        return server.shared || (server.attached && !thread.isAloneWithAssistant);
    }

    get useLabel() {
        return _t("Use %(server)s here", { server: this.props.server.name });
    }

    /**
     * @param {string} name
     * @param {(orm: Object) => Promise} send
     */
    async _do(name, send) {
        this.state.doing = name;
        this.state.result = "";
        const answer = await this.request.make(send);
        this.state.doing = "";
        this.props.onChanged();
        return answer;
    }

    /** Connect; what the server's buttons answer is shown here, instead of in a notification. */
    async connect(name, method) {
        const action = await this._do(name, (orm) => orm.call("mcp.server", method, [[this.props.server.id]]));
        if (action?.params.type === "danger") {
            this.request.problem = action.params.message;
        } else {
            this.state.result = action?.params.message ?? "";
        }
    }

    test() {
        return this.connect("test", "action_test_connection");
    }

    synchronise() {
        return this.connect("synchronise", "action_sync_tools");
    }

    /** @param {Event} ev */
    onUse(ev) {
        const attached = ev.currentTarget.checked;
        return this._place({ attached, shared: false });
    }

    /** @param {Event} ev */
    async onShare({ currentTarget: input }) {
        const shared = input.checked;
        if (!shared || (await this._confirmSharing())) {
            await this._place({ attached: true, shared });
        } else {
            input.checked = false;
        }
    }

    /** Show at once where the server is used, and what holds again where that is refused. */
    async _place({ attached, shared }) {
        const { server, thread } = this.props;
        const before = { attached: server.attached, shared: server.shared };
        Object.assign(server, { attached, shared });
        const [method, args] = attached ? ["ai_attach_server", [shared]] : ["ai_detach_server", []];
        await this._do("place", (orm) => orm.call("discuss.channel", method, [thread.id, server.id, ...args]));
        if (this.request.problem) {
            Object.assign(server, before);
        }
    }

    /** @returns {Promise<boolean>} */
    _confirmSharing() {
        return new Promise((resolve) => {
            this.dialog.add(
                ConfirmationDialog,
                {
                    title: _t("Share these tools?"),
                    body: _t(
                        "Everyone in %(conversation)s will be able to use the tools of %(server)s as you, with the credentials that you stored.",
                        { conversation: this.props.thread.displayName, server: this.props.server.name }
                    ),
                    confirmLabel: _t("Share"),
                    confirm: () => resolve(true),
                    cancel: () => {},
                },
                { onClose: () => resolve(false) }
            );
        });
    }

    onDelete() {
        const { id, name } = this.props.server;
        this.dialog.add(ConfirmationDialog, {
            title: _t("Delete this server?"),
            body: _t(
                "%(server)s will be gone with its tools and with the credentials that you stored, in every conversation. This cannot be undone.",
                { server: name }
            ),
            confirmClass: "btn-danger",
            confirmLabel: _t("Delete"),
            confirm: () => void this._do("delete", (orm) => orm.unlink("mcp.server", [id])),
            cancel: () => {},
        });
    }

    onCloseForm() {
        this.state.isEditing = false;
        this.editButton.el?.focus();
    }
}
