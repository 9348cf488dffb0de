import { Component, onMounted, useRef, useState } from "@odoo/owl";

import { _t } from "@web/core/l10n/translation";

/**
 * Where a person says why a reply is good or bad.
 *
 * @typedef {Object} Props
 * @property {function} close
 * @property {import("models").AiRun} run
 * @extends {Component<Props, Env>}
 */
export class FeedbackPopover extends Component {
    static template = "ai_discuss.FeedbackPopover";
    static props = ["close", "run"];

    setup() {
        super.setup();
        this.state = useState({ comment: this.props.run.own_comment || "" });
        this.input = useRef("input");
        onMounted(() => this.input.el.focus());
    }

    get label() {
        return this.props.run.own_rating === "up"
            ? _t("What was good about it?")
            : _t("What should be better?");
    }

    async send() {
        this.props.close();
        await this.props.run.giveFeedback(this.props.run.own_rating, this.state.comment.trim());
    }

    /** @param {KeyboardEvent} ev */
    onKeydown(ev) {
        if (ev.key === "Enter" && (ev.ctrlKey || ev.metaKey)) {
            this.send();
        }
    }
}
