import { Composer } from "@mail/core/common/composer";

import { markup } from "@odoo/owl";

import { _t } from "@web/core/l10n/translation";
import { isEventHandled, markEventHandled } from "@web/core/utils/misc";
import { patch } from "@web/core/utils/patch";

patch(Composer.prototype, {
    /** @override Where nothing else is open that it would close, Escape stops the person's replies. */
    onKeydown(ev) {
        // Looked at first: Discuss may be about to close something, and claims the key even where it closes nothing.
        const isStop = ev.key === "Escape" && this.canStopAi(ev);
        super.onKeydown(...arguments);
        if (isStop) {
            this.thread.aiOwnActiveRuns.forEach((run) => run.stop());
            markEventHandled(ev, "Composer.discard"); // else the chat window would close
            ev.stopPropagation();
        }
    },
    /** @param {KeyboardEvent} ev */
    canStopAi(ev) {
        return (
            !this.props.composer.message &&
            !this.props.composer.replyToMessage &&
            !this.getActivePicker() &&
            !isEventHandled(ev, "NavigableList.close") &&
            this.thread?.aiOwnActiveRuns.some((run) => !run.isStopping)
        );
    },
    /** @override */
    get CANCEL_OR_SAVE_EDIT_TEXT() {
        if (!this.props.composer.message?.isToResend) {
            return super.CANCEL_OR_SAVE_EDIT_TEXT;
        }
        const link = (type) =>
            markup`<button class="btn btn-link fst-italic p-0 align-baseline" data-type="${type}">`;
        return _t(
            "%(open_samp)sEscape%(close_samp)s %(open_em)sto %(open_cancel)scancel%(close_link)s%(close_em)s, %(open_samp)sEnter%(close_samp)s %(open_em)sto %(open_save)sresend%(close_link)s%(close_em)s",
            {
                open_samp: markup`<samp>`,
                close_samp: markup`</samp>`,
                open_em: markup`<em>`,
                close_em: markup`</em>`,
                open_cancel: link("cancel"),
                open_save: link("save"),
                close_link: markup`</button>`,
            }
        );
    },
});
