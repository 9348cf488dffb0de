import { useRequest } from "@ai_discuss/channel_settings/web/request_hook";

import { Component, useState } from "@odoo/owl";

import { _t } from "@web/core/l10n/translation";
import { normalize } from "@web/core/l10n/utils";
import { groupBy } from "@web/core/utils/arrays";

const MANY = 10; // tools; beyond, they are folded and found by their names

/**
 * The tools that assistants have in a conversation, by server, each with a switch for this conversation.
 *
 * @typedef {Object} Props
 * @property {Object[]} tools as `discuss.channel.ai_settings` tells them
 * @property {import("models").Thread} thread
 * @extends {Component<Props, Env>}
 */
export class ToolSwitches extends Component {
    static template = "ai_discuss.ToolSwitches";
    static props = ["tools", "thread"];

    setup() {
        super.setup();
        this.request = useRequest();
        this.state = useState({ searched: "" });
    }

    get areMany() {
        return this.props.tools.length > MANY;
    }

    /** Many tools are folded away, so that what is below them is found as well. */
    get isUnfolded() {
        return !this.areMany || this.state.searched.trim() !== "";
    }

    /** @returns {{ key: string, name: string, onText: string, tools: Object[] }[]} */
    get servers() {
        const byServer = groupBy(this.props.tools, ({ server, server_id }) => `${server} ${server_id}`);
        return Object.entries(byServer)
            .map(([key, tools]) => ({
                key,
                name: tools[0].server,
                onText: this._onText(tools),
                tools: tools.filter((tool) => this._isFound(tool)),
            }))
            .filter((server) => server.tools.length > 0);
    }

    _onText(tools) {
        const count = tools.filter((tool) => tool.on).length;
        return _t("%(count)s of %(total)s on", { count, total: tools.length });
    }

    _isFound({ description, title }) {
        return normalize(`${title} ${description}`).includes(normalize(this.state.searched.trim()));
    }

    /**
     * @param {Object} tool
     * @param {Event} ev
     */
    async onSwitch(tool, ev) {
        const on = ev.currentTarget.checked;
        tool.on = on;
        await this.request.make((orm) =>
            orm.call("discuss.channel", "ai_switch_tool", [this.props.thread.id, tool.id, on])
        );
        if (this.request.problem) {
            tool.on = !on;
        }
    }
}
