import { useRequest } from "@ai_discuss/channel_settings/web/request_hook";

import { Component } from "@odoo/owl";

import { _t } from "@web/core/l10n/translation";

/**
 * The tools that people have allowed once and for all in a conversation, until they have them ask again.
 *
 * @typedef {Object} Props
 * @property {Object[]} allowed as `discuss.channel.ai_settings` tells them
 * @property {function} onChanged
 * @extends {Component<Props, Env>}
 */
export class AllowedTools extends Component {
    static template = "ai_discuss.AllowedTools";
    static props = ["allowed", "onChanged"];

    setup() {
        super.setup();
        this.request = useRequest();
    }

    forText(rule) {
        const whose = rule.mine
            ? _t("for what you ask")
            : _t("for what %(name)s asks", { name: rule.user });
        return rule.is_current ? whose : _t("%(whose)s; asks again, for it has changed since", { whose });
    }

    revokeLabel(rule) {
        return _t("Have %(tool)s ask again", { tool: rule.title });
    }

    async revoke(rule) {
        await this.request.make((orm) => orm.unlink("ai.approval.rule", [rule.id]));
        this.props.onChanged();
    }
}
