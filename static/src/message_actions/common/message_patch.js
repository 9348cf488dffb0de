import { ReplyActions } from "@ai_discuss/message_actions/common/reply_actions";

import { Message } from "@mail/core/common/message";

import { patch } from "@web/core/utils/patch";

Object.assign(Message.components, { ReplyActions });

patch(Message.prototype, {
    /** @override */
    get attClass() {
        return {
            ...super.attClass,
            "o-ai-Replaced": this.message.isAiReplaced,
            "o-ai-folded": this.isAiFolded,
        };
    },
    get isAiFolded() {
        return this.message.isAiReplaced && !this.message.isAiUnfolded;
    },
    /** In the conversation itself, not where single messages are listed. */
    get hasAiReplyActions() {
        return (
            this.message.aiRun &&
            !this.isAiFolded &&
            this.props.hasActions &&
            !this.props.asCard &&
            !this.env.messageCard &&
            this.store.isAiColleague &&
            this.message.thread?.eq(this.props.thread)
        );
    },
});
