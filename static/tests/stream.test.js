import { EventParser } from "@ai_discuss/stream/common/event_parser";
import { FIRST_WAIT_MS, LONGEST_WAIT_MS, RunStream, SILENCE_MS } from "@ai_discuss/stream/common/run_stream";
import { describe, expect, test } from "@odoo/hoot";
import { advanceTime, tick } from "@odoo/hoot-mock";
import { patchWithCleanup } from "@web/../tests/web_test_helpers";

import { browser } from "@web/core/browser/browser";

describe.current.tags("headless");

const encoder = new TextEncoder();
const TEXT = 'id: 7-1\ndata: {"a":"ä€😀"}\n\n: ping\n\nid: 7-2\r\ndata: one\r\ndata: two\r\n\r\ndata\rid: 7-3\rdata:x\r\r';
const EVENTS = [
    { id: "7-1", data: '{"a":"ä€😀"}' },
    { id: "7-2", data: "one\ntwo" },
    { id: "7-3", data: "\nx" },
];

test("events are read with any line break, without comments", () => {
    expect(new EventParser().feed(encoder.encode(TEXT))).toEqual(EVENTS);
});

test("events are the same wherever their bytes are split", () => {
    const bytes = encoder.encode(TEXT);
    for (let size = 1; size < 12; size++) {
        const parser = new EventParser();
        const events = [];
        for (let from = 0; from < bytes.length; from += size) {
            events.push(...parser.feed(bytes.slice(from, from + size)));
        }
        expect(events).toEqual(EVENTS);
    }
});

test("an event that isn't complete is none", () => {
    expect(new EventParser().feed(encoder.encode("id: 7-1\ndata: {}\n"))).toEqual([]);
});

/** The answer of a server that takes a connection and is never heard of again. */
const NOTHING = Symbol("nothing");

/** A server whose connections the test holds in its hands. */
class Server {
    /** @type {{ url: string, lastEventId: string|undefined, isAborted: boolean }[]} */
    connections = [];
    /** How the next connections are answered, where it is not with a stream. */
    answers = [];

    constructor() {
        patchWithCleanup(browser, { fetch: (url, options) => this.answer(url, options) });
        patchWithCleanup(Math, { random: () => 1 });
    }

    async answer(url, { headers, signal }) {
        const connection = { isAborted: false, lastEventId: headers["Last-Event-ID"], url };
        this.connections.push(connection);
        const answer = this.answers.shift();
        if (answer instanceof Error) {
            throw answer;
        }
        if (answer === NOTHING) {
            return new Promise((resolve, reject) =>
                signal.addEventListener("abort", () => reject(new DOMException("aborted", "AbortError")))
            );
        }
        if (answer) {
            return answer;
        }
        const body = new ReadableStream({ start: (stream) => (connection.stream = stream) });
        signal.addEventListener("abort", () => {
            connection.isAborted = true;
            connection.stream.error(new DOMException("aborted", "AbortError"));
        });
        return new Response(body);
    }

    get last() {
        return this.connections.at(-1);
    }

    /** @param {...[number, string]} chunks as (seq, content) */
    async say(...chunks) {
        const frames = chunks.map(([seq, content]) => frame(seq, { type: "chunk", content }));
        await this.send(frames.join(""));
    }

    /** @param {string} text */
    async send(text) {
        this.last.stream.enqueue(encoder.encode(text));
        await settle();
    }

    async cut() {
        this.last.stream.error(new TypeError("network error"));
        await settle();
    }

    async end() {
        this.last.stream.close();
        await settle();
    }
}

const frame = (seq, payload) => `id: 7-${seq}\ndata: ${JSON.stringify(payload)}\n\n`;
const done = (seq) => frame(seq, { type: "done", state: "done" });

async function settle() {
    for (let turn = 0; turn < 5; turn++) {
        await tick();
    }
}

async function openStream(answers = []) {
    const server = new Server();
    server.answers = answers;
    const frames = [];
    const stream = new RunStream({ channelId: 3, id: 7 }, (some) => frames.push(...some));
    stream.open();
    await settle();
    return { frames, said: () => frames.map(({ content }) => content ?? "").join(""), server, stream };
}

test("a stream is read from its run's beginning to its last frame", async () => {
    const { frames, said, server, stream } = await openStream();
    expect(server.last.url).toBe("/api/ai/stream/3?run_id=7");
    expect(server.last.lastEventId).toBe(undefined);
    await server.send(frame(1, { type: "run", run_id: 7, state: "queued" }));
    await server.say([2, "Hel"], [3, "lo"]);
    await server.send(done(4));
    expect(frames.map(({ type }) => type)).toEqual(["run", "chunk", "chunk", "done"]);
    expect(said()).toBe("Hello");
    expect(stream.isOver).toBe(true);
    await advanceTime(LONGEST_WAIT_MS);
    expect(server.connections).toHaveLength(1);
});

test("a stream that is cut goes on behind its last frame, at once where it had brought something", async () => {
    const { said, server } = await openStream();
    await server.say([1, "Hel"], [2, "lo"]);
    await server.cut();
    await advanceTime(0);
    await settle();
    expect(server.connections).toHaveLength(2);
    expect(server.last.lastEventId).toBe("7-2");
    await server.say([3, " you"]);
    expect(said()).toBe("Hello you");
});

test("a stream that ends without its last frame goes on: its server's time was up", async () => {
    const { said, server } = await openStream();
    await server.say([1, "Hel"]);
    await server.end();
    await advanceTime(0);
    await settle();
    await server.say([2, "lo"]);
    expect(server.last.lastEventId).toBe("7-1");
    expect(said()).toBe("Hello");
});

test("no frame counts twice", async () => {
    const { said, server } = await openStream();
    await server.say([1, "Hel"], [2, "lo"]);
    await server.cut();
    await advanceTime(0);
    await settle();
    await server.say([1, "Hel"], [2, "lo"], [3, "!"]);
    expect(said()).toBe("Hello!");
});

test("half a frame that was cut off comes again as a whole", async () => {
    const { said, server } = await openStream();
    await server.send(frame(1, { type: "chunk", content: "Hello" }).slice(0, -1));
    await server.cut();
    await advanceTime(500);
    await settle();
    await server.say([1, "Hello"]);
    expect(said()).toBe("Hello");
});

test("who cannot be reached is asked less and less often", async () => {
    const { server } = await openStream(Array.from({ length: 9 }, () => new TypeError("Failed to fetch")));
    for (const wait of [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000]) {
        const { length } = server.connections;
        await advanceTime(wait * 0.6);
        await settle();
        expect(server.connections).toHaveLength(length);
        await advanceTime(wait * 0.4);
        await settle();
        expect(server.connections).toHaveLength(length + 1);
    }
});

test("a busy server is asked again when it says, and one that fails in a while", async () => {
    const { said, server } = await openStream([
        new Response("", { status: 503, headers: { "Retry-After": "5" } }),
        new Response("", { status: 502 }),
    ]);
    await advanceTime(4000);
    await settle();
    expect(server.connections).toHaveLength(1);
    await advanceTime(1000);
    await settle();
    expect(server.connections).toHaveLength(2);
    await advanceTime(1000);
    await settle();
    await server.say([1, "Hello"]);
    expect(said()).toBe("Hello");
});

test("a time of day at which to ask again is no reason to ask without end", async () => {
    const retryAfter = { "Retry-After": "Sun, 22 Nov 2026 10:00:00 GMT" };
    const { server } = await openStream([new Response("", { status: 503, headers: retryAfter })]);
    await advanceTime(FIRST_WAIT_MS * 0.9);
    await settle();
    expect(server.connections).toHaveLength(1);
    await advanceTime(FIRST_WAIT_MS * 0.1);
    await settle();
    expect(server.connections).toHaveLength(2);
});

test("a server that doesn't even begin to answer is given up", async () => {
    const { server } = await openStream([NOTHING]);
    await advanceTime(SILENCE_MS);
    await settle();
    await advanceTime(FIRST_WAIT_MS);
    await settle();
    expect(server.connections).toHaveLength(2);
});

for (const status of [204, 400, 401, 403, 404]) {
    test(`after ${status} nothing more is asked`, async () => {
        const { server, stream } = await openStream([new Response(null, { status })]);
        await advanceTime(LONGEST_WAIT_MS);
        await settle();
        expect(server.connections).toHaveLength(1);
        expect(stream.isOver).toBe(true);
        stream.open();
        expect(server.connections).toHaveLength(1);
    });
}

test("a connection that has gone silent is given up; a ping is enough to keep it", async () => {
    const { server } = await openStream();
    await server.say([1, "Hel"]);
    await advanceTime(SILENCE_MS * 0.6);
    await server.send(": ping\n\n");
    await advanceTime(SILENCE_MS * 0.6);
    expect(server.connections).toHaveLength(1);
    await advanceTime(SILENCE_MS * 0.4);
    await settle();
    await advanceTime(0);
    await settle();
    expect(server.connections[0].isAborted).toBe(true);
    expect(server.connections).toHaveLength(2);
    expect(server.last.lastEventId).toBe("7-1");
});

test("a stream that was closed goes on where it was left when it is opened again", async () => {
    const { said, server, stream } = await openStream();
    await server.say([1, "Hel"]);
    stream.close();
    await settle();
    expect(server.last.isAborted).toBe(true);
    await advanceTime(LONGEST_WAIT_MS);
    await settle();
    expect(server.connections).toHaveLength(1);
    stream.open();
    await settle();
    expect(server.last.lastEventId).toBe("7-1");
    await server.say([2, "lo"]);
    expect(said()).toBe("Hello");
});

test("a network that is back is used at once, and what was open before is not trusted", async () => {
    const { server, stream } = await openStream([new TypeError("Failed to fetch")]);
    stream.reopen();
    await settle();
    expect(server.connections).toHaveLength(2);
    stream.reopen();
    await settle();
    expect(server.connections).toHaveLength(3);
    expect(server.connections[1].isAborted).toBe(true);
});
