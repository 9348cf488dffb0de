import { Thread } from "@mail/core/common/thread_model";
// The patch below has to come after this one, which defines what it overrides.
import "@mail/discuss/core/public_web/thread_model_patch";

import { patch } from "@web/core/utils/patch";

export const ASSISTANTS_TAB = "ai_assistant";

/** @type {import("models").Thread} */
const threadPatch = {
    /** @override */
    _computeDiscussAppCategory() {
        return this.isAloneWithAssistant && !this.parent_channel_id
            ? this.store.discuss.aiAssistants
            : super._computeDiscussAppCategory();
    },
    /** Whether an assistant is at work here, and not only waiting for somebody's decision. */
    get isAiAtWork() {
        return this.aiActiveRuns.some((run) => run.state !== "waiting");
    },
    /** @override */
    setAsDiscussThread() {
        super.setAsDiscussThread(...arguments);
        if (this.store.env.services.ui.isSmall && this.isAloneWithAssistant) {
            this.store.discuss.activeTab = ASSISTANTS_TAB;
        }
    },
};
patch(Thread.prototype, threadPatch);
