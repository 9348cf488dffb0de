import { addCopyButtons } from "@ai_discuss/reply/common/copy_code";
import { GrowingMarkdown } from "@ai_discuss/markdown/common/growing_markdown";
import { loadMarkdown } from "@ai_discuss/markdown/common/markdown";

import {
    Component,
    markRaw,
    onWillDestroy,
    onWillRender,
    onWillStart,
    status,
    useEffect,
    useRef,
    useState,
} from "@odoo/owl";

import { decorateEmojis } from "@mail/utils/common/format";

import { browser } from "@web/core/browser/browser";

/** Each tag costs a browser some 15 µs, from parsing to layout: three quarters of the time are left to the rest of the page. */
const PAUSE_MS_PER_TAG = 0.06;
const FRAME_MS = 1000 / 60;
const EMOJI = /[\p{Extended_Pictographic}\p{Regional_Indicator}\u20e3]/u;

/**
 * What a reply says so far, formatted while it grows. Its text as it is, until the parser has been loaded.
 *
 * @typedef {Object} Props
 * @property {import("models").AiRun} run
 * @property {boolean} [squashed] whether it belongs to the message above, without a tail of its own
 * @extends {Component<Props, Env>}
 */
export class LiveText extends Component {
    static template = "ai_discuss.LiveText";
    static props = ["run", "squashed?"];

    setup() {
        super.setup();
        this.root = useRef("root");
        /** @type {{ markdown: GrowingMarkdown|undefined }} */
        this.state = useState({ markdown: undefined });
        this.pieces = [];
        onWillStart(() => {
            this.loadParser();
        });
        onWillRender(() => this.format());
        onWillDestroy(() => browser.clearTimeout(this.pause));
        useEffect(() => addCopyButtons(this.root.el, "pre:not(:last-child)")); // the last one may still grow
    }

    async loadParser() {
        try {
            const parser = await loadMarkdown();
            if (status(this) !== "destroyed") {
                const remoteImages = this.props.run.store.ai_remote_images;
                this.state.markdown = markRaw(new GrowingMarkdown(parser, { decorate, remoteImages }));
            }
        } catch {
            // The message that takes the place of this comes formatted from the server.
        }
    }

    /** The longer it takes to make the last block anew, the longer it stays as it is: a list may have hundreds of items. */
    format() {
        const { text } = this.props.run; // it is read in any case, and so this renders again when it grows
        const { markdown } = this.state;
        if (!markdown || this.pause || text === this.formatted) {
            return;
        }
        this.formatted = text;
        this.pieces = markdown.update(text);
        const rest = markdown.growingTags * PAUSE_MS_PER_TAG;
        if (rest > FRAME_MS) {
            this.pause = browser.setTimeout(() => {
                this.pause = undefined;
                this.render();
            }, rest);
        }
    }

    /** Whether the next word is to be expected right behind the last one. */
    get isWriting() {
        return this.props.run.isActive && this.props.run.phase === "writing";
    }
}

/** @param {ReturnType<import("@odoo/owl").markup>} html in which emojis get the size that they have in messages */
function decorate(html) {
    return EMOJI.test(html) ? decorateEmojis(html) : html;
}
