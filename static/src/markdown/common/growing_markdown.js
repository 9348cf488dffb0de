import { sanitize } from "@ai_discuss/markdown/common/markdown";
import { mend } from "@ai_discuss/markdown/common/mend";

/**
 * A Markdown text that grows, as pieces of HTML: what can't change any more is parsed once and never touched again, so
 * that neither the work nor the screen depends on how long the text is. Only its last block is made anew each time.
 */
export class GrowingMarkdown {
    /**
     * @param {Object} parser
     * @param {Object} [options]
     * @param {(html: Object) => Object} [options.decorate] what is done to each piece at last
     * @param {boolean} [options.remoteImages] whether images are loaded from wherever they are
     */
    constructor(parser, { decorate = (html) => html, remoteImages = false } = {}) {
        this.parser = parser;
        this.decorate = decorate;
        this.remoteImages = remoteImages;
        this._reset();
    }

    /**
     * @param {string} text the whole text so far
     * @returns {{ key: number, html: Object }[]} pieces that follow each other, the finished ones always the same objects
     */
    update(text) {
        if (!text.startsWith(this.finished)) {
            this._reset(); // a part of it was taken back
        }
        this._finish(text.slice(this.finished.length));
        const rest = mend(text.slice(this.finished.length));
        this.growingTags = 0;
        if (!rest) {
            return this.pieces;
        }
        // What the rest defines may be half an address: it counts once it is finished.
        const html = this._render(rest, { ...this.references });
        this.growingTags = html.toString().split("<").length - 1;
        return [...this.pieces, { key: this.pieces.length, html }];
    }

    _reset() {
        /** The text of all blocks that can't change any more. */
        this.finished = "";
        /** Where the links of the text lead that have a name: `[name]: address`. */
        this.references = {};
        this.pieces = [];
        this.lookedAt = 0;
        /** How much there is to be made anew each time. */
        this.growingTags = 0;
    }

    /**
     * A block is finished when another one has begun behind it, with a line that is complete: before, `text\n#` could
     * become `text\n#hashtag`, one paragraph.
     *
     * @param {string} tail
     */
    _finish(tail) {
        const complete = tail.lastIndexOf("\n") + 1;
        if (complete === this.lookedAt) {
            return; // no other line since
        }
        this.lookedAt = complete;
        const lines = this.parser
            .parse(tail.slice(0, complete), { references: { ...this.references } })
            .filter((token) => token.level === 0 && token.nesting !== -1)
            .map((token) => token.map[0]);
        if (lines.length > 1) {
            const done = tail.slice(0, offsetOf(tail, lines.at(-1)));
            this.pieces = [
                ...this.pieces,
                { key: this.pieces.length, html: this._render(done, this.references) },
            ];
            this.finished += done;
            this.lookedAt -= done.length;
        }
    }

    /**
     * @param {string} text
     * @param {Object} references
     */
    _render(text, references) {
        const { parser, remoteImages } = this;
        return this.decorate(sanitize(parser.render(text, { references, remoteImages })));
    }
}

/**
 * @param {string} text
 * @param {number} line counted from zero
 * @returns {number} where it begins
 */
function offsetOf(text, line) {
    let offset = 0;
    for (let count = 0; count < line; count++) {
        offset = text.indexOf("\n", offset) + 1;
    }
    return offset;
}
