import { Message } from "@mail/core/common/message_model";

import { patch } from "@web/core/utils/patch";

/** @type {import("models").Message} */
const messagePatch = {
    setup() {
        super.setup(...arguments);
        /** Whether the person wants to read this reply though another one has taken its place. */
        this.isAiUnfolded = false;
        /** Whether this question is being edited in order to be sent again. */
        this.isToResend = false;
    },
    /** Whether another reply stands in the place of this one. */
    get isAiReplaced() {
        return Boolean(this.aiRun?.is_replaced);
    },
    /** Whether it is the last word of its conversation, as far as it counts. */
    get isNewestAiReply() {
        return Boolean(this.aiRun && this.thread?.aiLastWord?.eq(this));
    },
    /** Whether the person may change this question and have it answered anew; the server has the last word. */
    get canResend() {
        return Boolean(
            this.editable &&
                this.isSelfAuthored &&
                this.store.isAiColleague &&
                this.thread?.lastEditableMessageOfSelf?.eq(this) &&
                (this.thread.isAloneWithAssistant ||
                    this.thread.ai_run_ids.some((run) => run.trigger_message_id?.eq(this)))
        );
    },
    /** Whether a conversation of one's own can go on from here. */
    get canFork() {
        return Boolean(
            this.thread?.model === "discuss.channel" &&
                (this.thread.has_ai_assistant || this.aiRun) &&
                this.message_type === "comment" &&
                !this.is_transient &&
                !this.isEmpty &&
                this.store.isAiColleague
        );
    },
    /** @override */
    async enterEditMode() {
        this.isToResend = false;
        await super.enterEditMode(...arguments);
    },
    /** @override */
    exitEditMode() {
        this.isToResend = false;
        super.exitEditMode(...arguments);
    },
    /** @override */
    async edit() {
        const isToResend = this.isToResend;
        const data = await super.edit(...arguments);
        if (isToResend) {
            await this.store.aiCall("discuss.channel", "ai_resend", [[this.thread.id], this.id]);
        }
        return data;
    },
    /** Go on from here in a conversation of one's own. */
    async aiFork() {
        const id = await this.store.aiCall("discuss.channel", "ai_fork", [[this.thread.id], this.id]);
        if (id) {
            const thread = await this.store.Thread.getOrFetch({ id, model: "discuss.channel" });
            thread?.open({ focus: true });
        }
    },
};
patch(Message.prototype, messagePatch);
