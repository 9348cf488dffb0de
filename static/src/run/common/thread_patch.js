import { ActiveRun } from "@ai_discuss/run/common/active_run";

import { Thread } from "@mail/core/common/thread";

import { patch } from "@web/core/utils/patch";

Object.assign(Thread.components, { ActiveRun });

patch(Thread.prototype, {
    /** The replies that are being made, where the end of the conversation is shown; a reply that is there stands for itself. */
    get aiLiveRuns() {
        const { order, thread } = this.props;
        if (order !== "asc" || thread.loadNewer || !this.state.mountedAndLoaded) {
            return [];
        }
        return thread.aiActiveRuns.filter((run) => !run.message_id?.in(thread.messages));
    },
});
