import { Component, onWillDestroy, useState } from "@odoo/owl";

import { browser } from "@web/core/browser/browser";
import { _t } from "@web/core/l10n/translation";

const THANKS_MS = 2000;

/**
 * A small button that copies a text, and shows for a moment that it has.
 *
 * @typedef {Object} Props
 * @property {string} label what is copied, for those who hear the button
 * @property {string} text
 * @extends {Component<Props, Env>}
 */
export class CopyText extends Component {
    static template = "ai_discuss.CopyText";
    static props = ["label", "text"];

    setup() {
        super.setup();
        this.state = useState({ isCopied: false });
        onWillDestroy(() => browser.clearTimeout(this.timer));
    }

    get title() {
        return this.state.isCopied ? _t("Copied") : this.props.label;
    }

    async onClick() {
        try {
            await browser.navigator.clipboard.writeText(this.props.text);
        } catch {
            return; // the browser forbids it: the text can still be selected
        }
        this.state.isCopied = true;
        browser.clearTimeout(this.timer);
        this.timer = browser.setTimeout(() => (this.state.isCopied = false), THANKS_MS);
    }
}
