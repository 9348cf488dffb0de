import { ActiveRun } from "@ai_discuss/run/common/active_run";

import { Thread } from "@mail/core/common/thread";

import { patch } from "@web/core/utils/patch";

Object.assign(Thread.components, { ActiveRun });

patch(Thread.prototype, {
    /** Replies that are being made and have called tools, where the end of the conversation is shown. */
    get aiRunsWithCalls() {
        const { order, thread } = this.props;
        if (order !== "asc" || thread.loadNewer || !this.state.mountedAndLoaded) {
            return [];
        }
        return thread.aiActiveRuns.filter((run) => run.tool_call_ids.length > 0);
    },
});
