import { RunStream } from "@ai_discuss/stream/common/run_stream";

import { browser } from "@web/core/browser/browser";
import { registry } from "@web/core/registry";

/** How long a stream goes on when nobody watches it any more: what was said before a decision may still be on its way. */
const LINGER_MS = 1500;

/**
 * The streams of the runs that are watched, one for each, however many views show it. None while the tab is hidden: a
 * browser has six connections to a server. What was missed meanwhile comes when it is seen again.
 */
export class RunStreams {
    constructor() {
        /** @type {Map<number, { run: import("models").AiRun, stream: RunStream, watchers: number, lingering?: number }>} */
        this.entries = new Map();
    }

    /**
     * Fill `run` with what its stream tells.
     *
     * @param {import("models").AiRun} run
     * @returns {() => void} to be called when it is not watched any more
     */
    watch(run) {
        run = run.store["ai.run"].get(run.id); // as nobody's: what is read here concerns no component
        const entry = this._entryOf(run);
        entry.watchers++;
        browser.clearTimeout(entry.lingering);
        if (!isHidden()) {
            entry.stream.open();
        }
        return () => {
            entry.watchers--;
            if (!entry.watchers) {
                entry.lingering = browser.setTimeout(() => this._leave(entry), LINGER_MS);
            }
        };
    }

    /** Go no further with what nobody watches; what has ended as well is not needed any more. */
    _leave(entry) {
        entry.stream.close();
        for (const [id, { run, watchers }] of this.entries) {
            if (!watchers && !run.isActive) {
                this.entries.delete(id);
            }
        }
    }

    /** @param {import("models").AiRun} run */
    _entryOf(run) {
        if (!this.entries.has(run.id)) {
            const onFrames = oncePerFrame((frames) => run.receiveAll(frames));
            const stream = new RunStream({ channelId: run.channel_id.id, id: run.id }, onFrames);
            this.entries.set(run.id, { run, stream, watchers: 0 });
        }
        return this.entries.get(run.id);
    }

    onVisibilityChange() {
        for (const { stream, watchers } of this.entries.values()) {
            if (isHidden()) {
                stream.close();
            } else if (watchers) {
                stream.open();
            }
        }
    }

    onOnline() {
        this.entries.forEach(({ stream }) => stream.reopen());
    }
}

/**
 * However fast something is said, it is shown once per picture of the screen.
 *
 * @param {(items: Object[]) => void} callback
 * @returns {(items: Object[]) => void} which collects items, and has `callback` called with all of them
 */
function oncePerFrame(callback) {
    let collected = [];
    return (items) => {
        if (!collected.length) {
            browser.requestAnimationFrame(() => {
                const all = collected;
                collected = [];
                callback(all);
            });
        }
        collected.push(...items);
    };
}

function isHidden() {
    return document.visibilityState === "hidden";
}

export const runStreamService = {
    start() {
        const streams = new RunStreams();
        document.addEventListener("visibilitychange", () => streams.onVisibilityChange());
        browser.addEventListener("online", () => streams.onOnline());
        return streams;
    },
};

registry.category("services").add("ai_discuss.run_streams", runStreamService);
