import { ActiveRun } from "@ai_discuss/run/common/active_run";

import { Thread } from "@mail/core/common/thread";

import { patch } from "@web/core/utils/patch";

/** As `Thread.isSquashed` has it. */
const SQUASHED_WITHIN_MS = 5 * 60 * 1000;

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
    /**
     * @param {import("models").AiRun} run
     * @returns {boolean} whether its message will stand right below another one of the same assistant
     */
    isRunSquashed(run) {
        const previous = this.props.thread.messages.at(-1);
        return Boolean(
            previous &&
                !previous.isNotification &&
                previous.author?.eq(run.assistant_partner_id) &&
                Date.now() - previous.datetime.ts < SQUASHED_WITHIN_MS
        );
    },
});
