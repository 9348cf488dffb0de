import { reasonOf } from "@ai_discuss/errors/common/error_texts";

import { htmlToTextContentInline } from "@mail/utils/common/format";

import { Component } from "@odoo/owl";

import { _t } from "@web/core/l10n/translation";

const LONGEST = 1000; // characters: who wants more of a reply goes there and reads it

/**
 * Tells those who hear the screen that a reply has ended, and what it says: once, and not each word as it comes.
 *
 * @typedef {Object} Props
 * @property {import("models").Thread} thread
 * @extends {Component<Props, Env>}
 */
export class ReplyAnnouncer extends Component {
    static template = "ai_discuss.ReplyAnnouncer";
    static props = ["thread"];

    get run() {
        return this.props.thread.aiEndedRun;
    }

    get text() {
        const name = this.run.assistant_partner_id?.name;
        if (this.run.error_code) {
            return _t("%(name)s could not answer: %(reason)s", { name, reason: reasonOf(this.run) });
        }
        const text = htmlToTextContentInline(this.run.message_id?.body || "");
        return text && _t("%(name)s says: %(text)s", { name, text: shortened(text) });
    }
}

/** @param {string} text */
function shortened(text) {
    return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}
