import { AiRun } from "@ai_discuss/run/common/run_model";

import { patch } from "@web/core/utils/patch";

/** @type {import("models").AiRun} */
const runPatch = {
    /** @override */
    update(data) {
        const wasActive = this.isActive;
        super.update(data);
        if (wasActive && !this.isActive && this.channel_id) {
            this.channel_id.aiEndedRun = this;
        }
    },
};
patch(AiRun.prototype, runPatch);
