/**
 * Reads server-sent events from bytes that come in any pieces: a piece may end within a line, between the two characters
 * of a line break, or within a character. Knows nothing of what the events mean.
 */
export class EventParser {
    constructor() {
        this.decoder = new TextDecoder();
        /** What came after the last line break. */
        this.rest = "";
        this.hadReturn = false;
        this.data = [];
        this.id = "";
    }

    /**
     * @param {Uint8Array} bytes
     * @returns {{ data: string, id: string }[]} the events that are complete with them
     */
    feed(bytes) {
        let text = this.decoder.decode(bytes, { stream: true });
        if (this.hadReturn && text.startsWith("\n")) {
            text = text.slice(1);
        }
        if (text) {
            this.hadReturn = text.endsWith("\r");
        }
        const lines = (this.rest + text).split(/\r\n|\n|\r/);
        this.rest = lines.pop();
        return lines.map((line) => this._read(line)).filter(Boolean);
    }

    /** @param {string} line */
    _read(line) {
        if (line === "") {
            return this._dispatch();
        }
        const colon = line.indexOf(":");
        const field = colon === -1 ? line : line.slice(0, colon);
        const value = colon === -1 ? "" : line.slice(colon + 1).replace(/^ /, "");
        if (field === "data") {
            this.data.push(value);
        } else if (field === "id") {
            this.id = value;
        }
    }

    _dispatch() {
        if (this.data.length) {
            const event = { data: this.data.join("\n"), id: this.id };
            this.data = [];
            return event;
        }
    }
}
