import { Thread } from "@mail/core/common/thread_model";

import { patch } from "@web/core/utils/patch";

/** @type {import("models").Thread} */
const threadPatch = {
    /** Whether anybody types whose reply is not seen in the making, just above where that is said. */
    get hasUnseenTyping() {
        return this.otherTypingMembers.some(
            (member) => !this.aiActiveRuns.some((run) => run.assistant_partner_id?.eq(member.persona))
        );
    },
};
patch(Thread.prototype, threadPatch);
