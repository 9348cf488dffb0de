import { ChannelSettings } from "@ai_discuss/channel_settings/web/channel_settings";

import { registerThreadAction } from "@mail/core/common/thread_actions";

import { _t } from "@web/core/l10n/translation";

registerThreadAction("ai-settings", {
    actionPanelComponent: ChannelSettings,
    condition: ({ owner, store, thread }) =>
        Boolean(thread?.hasAiSettings) &&
        store.self_partner?.main_user_id?.share === false &&
        (!owner.props.chatWindow || owner.props.chatWindow.isOpen) &&
        !owner.isDiscussSidebarChannelActions,
    panelOuterClass: "bg-inherit",
    icon: "fa fa-fw fa-magic",
    name: ({ action }) => (action.isActive ? _t("Hide Assistant Settings") : _t("Assistant Settings")),
    sequence: 40,
    sequenceGroup: 10,
    toggle: true,
});
