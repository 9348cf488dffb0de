import { EventParser } from "@ai_discuss/stream/common/event_parser";

import { browser } from "@web/core/browser/browser";

/** Before the first attempt to come back; each further one doubles it, up to the longest. */
export const FIRST_WAIT_MS = 500;
export const LONGEST_WAIT_MS = 30_000;
/** Without a byte for so long the connection is dead: the server sends a comment every fifteen seconds. */
export const SILENCE_MS = 40_000;

const OK = 200;
const NO_CONTENT = 204;
const TOO_MANY_REQUESTS = 429;
const FIRST_SERVER_ERROR = 500;

/**
 * Follows one run's stream (`GET /api/ai/stream/<channel>`) until the run's last frame, over as many connections as that
 * takes: after each break it goes on behind the last frame that it has read. It drives nothing, and may be paused.
 */
export class RunStream {
    /**
     * @param {Object} run
     * @param {number} run.channelId
     * @param {number} run.id
     * @param {(frames: Object[]) => void} onFrames called with the frames that came together, in their order
     */
    constructor({ channelId, id }, onFrames) {
        this.url = `/api/ai/stream/${channelId}?run_id=${id}`;
        this.onFrames = onFrames;
        this.lastEventId = "";
        this.lastSeq = 0;
        /** Whether there is nothing more to read: the run has ended, or the stream is not for this person. */
        this.isOver = false;
        this.failures = 0;
        /** @type {AbortController|undefined} of the connection; undefined while there is none */
        this.connection = undefined;
        this.timer = undefined;
    }

    get isOpen() {
        return Boolean(this.connection || this.timer);
    }

    /** Begin, or go on, to read. */
    open() {
        if (!this.isOpen && !this.isOver) {
            this._connect();
        }
    }

    /** Read no further until it is opened again. */
    close() {
        browser.clearTimeout(this.timer);
        this.timer = undefined;
        this.connection?.abort();
        this.connection = undefined;
    }

    /** Come back at once, after the network was away: what looks like a connection may not be one any more. */
    reopen() {
        if (this.isOpen) {
            this.close();
            this.failures = 0;
            this.open();
        }
    }

    async _connect() {
        const connection = new AbortController();
        this.connection = connection;
        let wait;
        try {
            wait = await this._read(connection);
        } catch {
            wait = this._nextWait();
        }
        if (this.connection !== connection) {
            return; // closed meanwhile
        }
        this.connection = undefined;
        connection.abort();
        if (!this.isOver) {
            this.timer = browser.setTimeout(() => {
                this.timer = undefined;
                this._connect();
            }, wait);
        }
    }

    /**
     * Read one connection to its end.
     *
     * @param {AbortController} connection
     * @returns {Promise<number>} the milliseconds after which to come back, unless it is over
     */
    async _read(connection) {
        const request = browser.fetch(this.url, {
            headers: this.lastEventId ? { "Last-Event-ID": this.lastEventId } : {},
            signal: connection.signal,
        });
        const response = await withinSilence(request, connection);
        if (response.status !== OK) {
            // The run has said everything; or it is not for this person, and the bus tells them the rest.
            this.isOver = response.status === NO_CONTENT || !isPassing(response.status);
            // Proxies may answer with a date: that is as good as nothing.
            return Math.max(this._nextWait(), 1000 * (Number(response.headers.get("Retry-After")) || 0));
        }
        const parser = new EventParser();
        const reader = response.body.getReader();
        while (this.connection === connection && !this.isOver) {
            const { done, value } = await withinSilence(reader.read(), connection);
            if (done) {
                break;
            }
            if (this.connection === connection) {
                this._receive(parser.feed(value));
            }
        }
        return this._nextWait();
    }

    /** @param {{ data: string, id: string }[]} events */
    _receive(events) {
        const frames = [];
        for (const { data, id } of events) {
            const seq = Number(id.split("-")[1]);
            if (seq <= this.lastSeq) {
                continue; // never a word twice, whatever a proxy repeats
            }
            this.lastSeq = seq;
            this.lastEventId = id;
            frames.push(JSON.parse(data));
        }
        if (frames.length) {
            this.failures = -1; // a connection that brought something may be taken up again at once
            this.isOver = frames.at(-1).type === "done";
            this.onFrames(frames);
        }
    }

    /** Doubled with each failure; and scattered, so that not everybody comes back to a server in the same moment. */
    _nextWait() {
        this.failures++;
        if (!this.failures) {
            return 0;
        }
        const wait = Math.min(FIRST_WAIT_MS * 2 ** (this.failures - 1), LONGEST_WAIT_MS);
        return wait * (0.5 + Math.random() / 2);
    }
}

/** @param {number} status of a response that is no stream; whether another one may be expected later */
function isPassing(status) {
    return status === TOO_MANY_REQUESTS || status >= FIRST_SERVER_ERROR;
}

/**
 * @template T
 * @param {Promise<T>} promise
 * @param {AbortController} connection which ends when the promise takes too long
 * @returns {Promise<T>}
 */
async function withinSilence(promise, connection) {
    const timer = browser.setTimeout(() => connection.abort(), SILENCE_MS);
    try {
        return await promise;
    } finally {
        browser.clearTimeout(timer);
    }
}
