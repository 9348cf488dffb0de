import { Typing } from "@mail/discuss/typing/common/typing";

import { patch } from "@web/core/utils/patch";

/** @type {Typing} */
const typingPatch = {
    /** Whether anybody types whose reply is not seen in the making, just above. */
    get isShown() {
        const { channel, displayText, member } = this.props;
        if (member) {
            return member.isTyping;
        }
        return displayText
            ? channel.otherTypingMembers.some((typing) => !isSeenReplying(typing, channel))
            : channel.hasOtherMembersTyping;
    },
};
patch(Typing.prototype, typingPatch);

/**
 * @param {import("models").ChannelMember} member
 * @param {import("models").Thread} channel
 */
function isSeenReplying(member, channel) {
    return channel.aiActiveRuns.some((run) => run.assistant_partner_id?.eq(member.persona));
}
