import { RunNotices } from "@ai_discuss/channel_settings/common/run_notices";
import { AllowedTools } from "@ai_discuss/channel_settings/web/allowed_tools";
import { ToolSwitches } from "@ai_discuss/channel_settings/web/tool_switches";
import { useRequest } from "@ai_discuss/channel_settings/web/request_hook";
import { PersonalServers } from "@ai_discuss/servers/web/personal_servers";

import { ActionPanel } from "@mail/discuss/core/common/action_panel";

import { Component, onWillStart, onWillUpdateProps, useState } from "@odoo/owl";

import { _t } from "@web/core/l10n/translation";
import { KeepLast } from "@web/core/utils/concurrency";
import { useService } from "@web/core/utils/hooks";

/**
 * What there is to see and to choose of assistants in one conversation. What is chosen holds at once.
 *
 * @typedef {Object} Props
 * @property {import("models").Thread} thread
 * @extends {Component<Props, Env>}
 */
export class ChannelSettings extends Component {
    static template = "ai_discuss.ChannelSettings";
    static components = { ActionPanel, AllowedTools, PersonalServers, RunNotices, ToolSwitches };
    static props = ["thread"];

    setup() {
        super.setup();
        this.actionService = useService("action");
        this.store = useService("mail.store");
        this.keepLast = new KeepLast();
        this.loading = useRequest();
        this.saving = useRequest();
        /** @type {{ settings: Object|undefined }} as `discuss.channel.ai_settings` tells them */
        this.state = useState({ settings: undefined });
        onWillStart(() => void this.load());
        onWillUpdateProps(({ thread }) => {
            if (thread.notEq(this.props.thread)) {
                this.state.settings = undefined;
                this.load(thread);
            }
        });
    }

    get assistant() {
        const { assistant_id, assistants } = this.state.settings;
        return assistants.find((assistant) => assistant.id === assistant_id);
    }

    get avatarUrl() {
        return `/web/image/ai.assistant/${this.assistant.id}/avatar_128`;
    }

    get noToolsText() {
        return this.assistant
            ? _t("The assistant has no tools here.")
            : _t("Without an assistant there are no tools. Choose one above, or mention one in a message.");
    }

    async load(thread = this.props.thread) {
        const request = this.loading.make((orm) => orm.call("discuss.channel", "ai_settings", [thread.id]));
        const settings = await this.keepLast.add(request);
        this.state.settings = settings ?? this.state.settings;
    }

    /**
     * Show at once what was chosen, and what holds again where the server refuses it.
     *
     * @param {"assistant_id"|"reply_mode"} name
     * @param {number|string|false} value
     */
    async save(name, value) {
        const { settings } = this.state;
        const before = settings[name];
        settings[name] = value;
        const values = { [`ai_${name}`]: value };
        const request = this.saving.make((orm) => orm.write("discuss.channel", [this.props.thread.id], values));
        if (await request) {
            await this.load();
        } else {
            settings[name] = before;
        }
    }

    /** @param {Event} ev */
    onChangeAssistant(ev) {
        return this.save("assistant_id", Number(ev.currentTarget.value) || false);
    }

    /** @param {Event} ev */
    onChangeReplyMode(ev) {
        return this.save("reply_mode", ev.currentTarget.value);
    }

    openAssistant() {
        return this.actionService.doAction({
            type: "ir.actions.act_window",
            res_model: "ai.assistant",
            res_id: this.assistant.id,
            views: [[false, "form"]],
        });
    }
}
