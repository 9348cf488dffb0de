import { addCopyButtons } from "@ai_discuss/reply/common/copy_code";
import { GrowingMarkdown } from "@ai_discuss/markdown/common/growing_markdown";
import { loadMarkdown } from "@ai_discuss/markdown/common/markdown";

import { Component, markRaw, onWillStart, status, useEffect, useRef, useState } from "@odoo/owl";

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
        onWillStart(() => {
            this.loadParser();
        });
        useEffect(() => {
            addCopyButtons(this.root.el, "pre:not(:last-child)"); // the last one may still grow
            // Who has scrolled to the end stays there: the thread doesn't see that this grows.
            this.env.onImageLoaded?.();
        });
    }

    async loadParser() {
        try {
            const parser = await loadMarkdown();
            if (status(this) !== "destroyed") {
                const remoteImages = this.props.run.store.ai_remote_images;
                this.state.markdown = markRaw(new GrowingMarkdown(parser, { remoteImages }));
            }
        } catch {
            // The message that takes the place of this comes formatted from the server.
        }
    }

    get pieces() {
        return this.state.markdown.update(this.props.run.text);
    }

    /** Whether the next word is to be expected right behind the last one. */
    get isWriting() {
        return this.props.run.isActive && this.props.run.phase === "writing";
    }
}
