import { fields } from "@mail/core/common/record";
import { Thread } from "@mail/core/common/thread_model";
// The patch below has to come after this one, which defines what it overrides.
import "@mail/discuss/core/common/thread_model_patch";

import { patch } from "@web/core/utils/patch";

/** @type {import("models").Thread} */
const threadPatch = {
    setup() {
        super.setup(...arguments);
        this.ai_run_ids = fields.Many("ai.run", {
            inverse: "channel_id",
            sort: (run1, run2) => run1.id - run2.id,
        });
    },
    /** The runs in this conversation that have not ended. */
    get aiActiveRuns() {
        return this.ai_run_ids.filter((run) => run.isActive);
    },
    /** Those that the person has asked for. */
    get aiOwnActiveRuns() {
        return this.aiActiveRuns.filter((run) => run.isMine);
    },
    /**
     * Go on in the composer when a button was pressed that goes away: nobody would be in the conversation, and what is
     * said in it would count as unread. On a phone the keyboard would cover it.
     */
    focusAiComposer() {
        if (!this.store.env.services.ui.isSmall) {
            this.composer.autofocus++;
        }
    },
    /** @override What waits for the person's decision counts wherever unread messages are counted. */
    get importantCounter() {
        const waiting = this.aiOwnActiveRuns.flatMap((run) => run.callsToDecide);
        return (super.importantCounter || 0) + waiting.length;
    },
};
patch(Thread.prototype, threadPatch);
