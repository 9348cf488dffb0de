import { AiRun } from "@ai_discuss/run/common/run_model";

import { browser } from "@web/core/browser/browser";
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
        /** @type {string|false} why the person thinks so of the reply */
        this.own_comment = false;
        /** @type {"up"|"down"|false} what the person thinks of the reply */
        this.own_rating = false;
    },
    /** Whether the question has no later reply of this assistant, and none is being made. */
    get isNewestReply() {
        return !this.channel_id?.ai_run_ids.some(
            (run) =>
                run.id > this.id &&
                (run.isActive || run.message_id) &&
                run.trigger_message_id?.eq(this.trigger_message_id) &&
                run.assistant_partner_id?.eq(this.assistant_partner_id)
        );
    },
    /** Whether the person may have the question answered anew; the server has the last word. */
    get canRegenerate() {
        return this.isMine && !this.isActive && !this.is_replaced && this.isNewestReply;
    },
    /** Whether the person may have the rest said. */
    get canContinue() {
        return this.is_incomplete && this.canRegenerate;
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
            await this.store.aiCall("ai.run", method, [[this.id]]);
            this.channel_id?.focusAiComposer();
        } finally {
            this.isAskingAgain = false;
        }
    },
    /**
     * @param {"up"|"down"|false} rating false takes back what the person has said
     * @param {string} [comment]
     */
    async giveFeedback(rating, comment = "") {
        const { own_comment, own_rating } = this;
        this.own_comment = comment;
        this.own_rating = rating;
        const args = [[this.id], rating, comment];
        if (!(await this.store.aiCall("ai.run", "give_feedback", args))) {
            Object.assign(this, { own_comment, own_rating });
        }
    },
    /**
     * Copy the reply as the model wrote it, in Markdown.
     *
     * @returns {Promise<boolean>} whether it is on the clipboard
     */
    async copyText() {
        const runs = await this.store.aiCall("ai.run", "read", [[this.id], ["text"]]);
        try {
            await browser.navigator.clipboard.writeText(runs[0].text || this.error_message || "");
            return true;
        } catch {
            return false; // the browser forbids it, or the person was told what is wrong
        }
    },
};
patch(AiRun.prototype, runPatch);
