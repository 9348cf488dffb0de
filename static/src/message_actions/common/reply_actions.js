import { FeedbackPopover } from "@ai_discuss/message_actions/common/feedback_popover";

import { Component, onWillDestroy, useState } from "@odoo/owl";

import { browser } from "@web/core/browser/browser";
import { _t } from "@web/core/l10n/translation";
import { usePopover } from "@web/core/popover/popover_hook";

const THANKS_MS = 2000;

/**
 * What a person can do with a reply, below it: copy it, say what they think of it, have it made anew or continued.
 *
 * @typedef {Object} Props
 * @property {import("models").Message} message
 * @extends {Component<Props, Env>}
 */
export class ReplyActions extends Component {
    static template = "ai_discuss.ReplyActions";
    static props = ["message"];

    setup() {
        super.setup();
        this.popover = usePopover(FeedbackPopover, { position: "top-start" });
        this.state = useState({ isCopied: false });
        onWillDestroy(() => browser.clearTimeout(this.timer));
    }

    get run() {
        return this.props.message.aiRun;
    }

    /** A failed one says so itself, with its own way on. */
    get canContinue() {
        return this.run.canContinue && !this.run.error_code;
    }

    /** What came after an earlier one has built on it; a failed one offers to try again by itself. */
    get canRegenerate() {
        return this.props.message.isNewestAiReply && this.run.canRegenerate && !this.run.error_code;
    }

    get copyLabel() {
        return this.state.isCopied ? _t("Copied") : _t("Copy");
    }

    get upLabel() {
        return this.run.own_rating === "up" ? _t("You liked this reply") : _t("Good reply");
    }

    get downLabel() {
        return this.run.own_rating === "down" ? _t("You did not like this reply") : _t("Bad reply");
    }

    async copy() {
        if (await this.run.copyText()) {
            this.state.isCopied = true;
            browser.clearTimeout(this.timer);
            this.timer = browser.setTimeout(() => (this.state.isCopied = false), THANKS_MS);
        }
    }

    /**
     * The thumb counts at once; why is asked for next, and may stay unsaid. The same thumb again takes it back.
     *
     * @param {"up"|"down"} rating
     * @param {MouseEvent} ev
     */
    rate(rating, ev) {
        if (this.run.own_rating === rating) {
            this.popover.close();
            this.run.giveFeedback(false);
            return;
        }
        this.run.giveFeedback(rating);
        this.popover.open(ev.currentTarget, { run: this.run });
    }
}
