import { AiRun } from "@ai_discuss/run/common/run_model";

import { patch } from "@web/core/utils/patch";

/** @type {import("models").AiRun} */
const runPatch = {
    setup() {
        super.setup(...arguments);
        /** Whether it was stopped, failed or reached a limit, so that it can be continued. */
        this.is_incomplete = false;
        /** Whether another reply has taken the place of this one's, or is about to. */
        this.is_replaced = false;
        /** Whether a request for another reply is on its way. */
        this.isAskingAgain = false;
    },
    /** Whether the person may have the question answered anew; the server has the last word. */
    get canRegenerate() {
        return this.isMine && !this.isActive && !this.is_replaced;
    },
    /** Whether the person may have the rest said. */
    get canContinue() {
        return this.canRegenerate && this.is_incomplete;
    },
    /** Have the question answered anew: another reply takes the place of this one. */
    async regenerate() {
        await this._askAgain("regenerate");
    },
    /** Have the rest said of a reply that broke off. */
    async continueReply() {
        await this._askAgain("continue_reply");
    },
    /**
     * What comes of it is told over the bus, to everybody; why nothing does, here, to the person.
     *
     * @param {"regenerate"|"continue_reply"} method
     */
    async _askAgain(method) {
        if (this.isAskingAgain) {
            return;
        }
        this.isAskingAgain = true;
        try {
            await this.store.env.services.orm.silent.call("ai.run", method, [[this.id]]);
        } catch (error) {
            const text = error.data?.message || error.message;
            this.store.env.services.notification.add(text, { type: "danger" });
        } finally {
            this.isAskingAgain = false;
        }
    },
};
patch(AiRun.prototype, runPatch);
