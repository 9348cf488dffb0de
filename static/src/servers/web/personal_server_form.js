import { useRequest } from "@ai_discuss/channel_settings/web/request_hook";

import { Component, useEffect, useRef, useState } from "@odoo/owl";

import { _t } from "@web/core/l10n/translation";
import { useAutofocus, useService } from "@web/core/utils/hooks";

/**
 * Name, address and credentials of one of the person's servers. Saving connects at once; a new server is then used in this
 * conversation. Where that fails, what was entered stays, to be corrected or given up.
 *
 * @typedef {Object} Props
 * @property {boolean} isMember
 * @property {function} onChanged called when the server has done something
 * @property {function} onClose called when the person is done
 * @property {(id: number) => void} [onCreated] called as soon as a new server is there, whether it can be used or not
 * @property {Object} [server] the one that is edited; without it, a new one is added
 * @property {import("models").Thread} thread
 * @extends {Component<Props, Env>}
 */
export class PersonalServerForm extends Component {
    static template = "ai_discuss.PersonalServerForm";
    static props = ["isMember", "onChanged", "onClose", "onCreated?", "server?", "thread"];
    static nextId = 1;

    setup() {
        super.setup();
        const { server } = this.props;
        this.id = `o-ai-PersonalServerForm-${PersonalServerForm.nextId++}`;
        this.notification = useService("notification");
        this.request = useRequest();
        this.state = useState({
            auth_type: server?.auth_type ?? "none",
            headers: "",
            /** @type {number|undefined} of the record, which is there from the first attempt on */
            serverId: server?.id,
            name: server?.name ?? "",
            token: "",
            url: server?.url ?? "",
        });
        this.root = useRef("root");
        useAutofocus({ refName: "name", selectAll: true });
        useEffect(
            () => void this.root.el.scrollIntoView({ block: "nearest" }),
            () => [this.request.problem]
        );
    }

    get isNew() {
        return !this.props.server;
    }

    /** What is stored is for its address alone: another one gets nothing of it. */
    get isStored() {
        const { server } = this.props;
        const isThere = this.state.auth_type === "headers" ? server?.has_headers : server?.has_token;
        return Boolean(isThere) && server.url === this.state.url;
    }

    get tokenPlaceholder() {
        return this.isStored ? _t("A token is stored; type to replace it") : _t("Paste the token");
    }

    get headersPlaceholder() {
        return this.isStored ? _t("Headers are stored; type to replace them") : '{"X-Api-Key": "…"}';
    }

    get values() {
        const { auth_type, headers, name, token, url } = this.state;
        const values = { auth_type, name: name.trim(), url: url.trim() };
        if (auth_type === "bearer" && token) {
            values.token = token;
        }
        if (auth_type === "headers" && headers) {
            values.headers = headers;
        }
        return values;
    }

    /** @param {KeyboardEvent} ev */
    onKeydown(ev) {
        if (ev.key === "Escape" && !this.request.isPending) {
            ev.stopPropagation(); // the panel around it stays
            this.onCancel();
        }
    }

    /** What was added only to be tried goes with the form. */
    async onCancel() {
        if (this.isNew && this.state.serverId) {
            await this.request.make((orm) => orm.unlink("mcp.server", [this.state.serverId]));
            await this.props.onChanged();
            if (this.request.problem) {
                return;
            }
        }
        this.props.onClose();
    }

    async onSubmit() {
        const problem = await this.request.make((orm) => this._connect(orm));
        this.props.onChanged();
        if (problem) {
            this.request.problem = problem;
        } else if (!this.request.problem) {
            this.props.onClose();
        }
    }

    /** @returns {Promise<string|undefined>} why the server cannot be used as it is */
    async _connect(orm) {
        await this._save(orm);
        const { params } = await orm.call("mcp.server", "action_sync_tools", [[this.state.serverId]]);
        if (params.type === "danger") {
            return params.message;
        }
        if (this.isNew && this.props.isMember) {
            await orm.call("discuss.channel", "ai_attach_server", [this.props.thread.id, this.state.serverId]);
        }
        this.notification.add(params.message, { title: this.values.name, type: "success" });
    }

    async _save(orm) {
        if (this.state.serverId) {
            await orm.write("mcp.server", [this.state.serverId], this.values);
        } else {
            const values = { ...this.values, scope: "user", transport: "streamable_http" };
            [this.state.serverId] = await orm.create("mcp.server", [values]);
            this.props.onCreated(this.state.serverId);
        }
    }
}
