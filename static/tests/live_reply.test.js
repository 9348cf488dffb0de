import {
    click,
    contains,
    defineMailModels,
    openDiscuss,
    scroll,
    start,
    startServer,
} from "@mail/../tests/mail_test_helpers";
import { describe, expect, test, waitUntil } from "@odoo/hoot";
import { advanceTime, animationFrame, tick } from "@odoo/hoot-mock";
import { onWillRender } from "@odoo/owl";
import {
    Command,
    getService,
    patchWithCleanup,
    preloadBundle,
    serverState,
} from "@web/../tests/web_test_helpers";

import { ActiveRun } from "@ai_discuss/run/common/active_run";
import { GrowingMarkdown } from "@ai_discuss/markdown/common/growing_markdown";
import { LiveText } from "@ai_discuss/reply/common/live_text";
import { AiRun } from "@ai_discuss/run/common/run_model";
import { ToolCallList } from "@ai_discuss/tool_call/common/tool_call_list";

import { Composer } from "@mail/core/common/composer";
import { Message } from "@mail/core/common/message";
import { Thread } from "@mail/core/common/thread";

import { browser } from "@web/core/browser/browser";
import { loadEmoji } from "@web/core/emoji_picker/emoji_picker";

describe.current.tags("desktop");
defineMailModels();
preloadBundle("ai_discuss.markdown");
preloadBundle("web.assets_emoji");

const RUN = 7;
const encoder = new TextEncoder();

/** Open a conversation in which an assistant is asked; the functions make it go on. */
async function openReply({ lines = 0, status = 200 } = {}) {
    /** @type {{ lastEventId: string|undefined, stream: ReadableStreamDefaultController }[]} */
    const connections = [];
    const { fetch } = browser;
    patchWithCleanup(browser, {
        fetch(url, options) {
            if (!String(url).startsWith("/api/ai/stream/")) {
                return fetch(url, options);
            }
            if (status !== 200) {
                connections.push({});
                return Promise.resolve(new Response("", { status }));
            }
            return Promise.resolve(
                new Response(
                    new ReadableStream({
                        start: (stream) =>
                            connections.push({ lastEventId: options.headers["Last-Event-ID"], stream }),
                    })
                )
            );
        },
    });
    const pyEnv = await startServer();
    const assistantId = pyEnv["res.partner"].create({ name: "Helper" });
    const channelId = pyEnv["discuss.channel"].create({
        channel_member_ids: [
            Command.create({ partner_id: serverState.partnerId }),
            Command.create({ partner_id: assistantId }),
        ],
        channel_type: "group",
        name: "Office",
    });
    pyEnv["mail.message"].create({
        author_id: serverState.partnerId,
        body: `<p>Question</p>${"<p>and more</p>".repeat(lines)}`,
        message_type: "comment",
        model: "discuss.channel",
        res_id: channelId,
    });
    await start();
    const store = getService("mail.store");
    // The mock server's channels don't know of runs; the real ones send the same.
    const tell = (values) =>
        store.insert({
            "ai.run": [
                {
                    assistant_partner_id: assistantId,
                    channel_id: { id: channelId, model: "discuss.channel" },
                    id: RUN,
                    user_id: serverState.userId,
                    ...values,
                },
            ],
            "res.partner": [{ id: assistantId, is_ai_assistant: true, name: "Helper" }],
            "res.users": [{ id: serverState.userId, partner_id: serverState.partnerId }],
        });
    tell({ state: "running" });
    await openDiscuss(channelId);
    await contains(".o-mail-Message:contains('Question')");
    await contains(".o-ai-ActiveRun");
    let seq = 0;
    const send = async (...frames) => {
        const text = frames.map((frame) => `id: ${RUN}-${++seq}\ndata: ${JSON.stringify(frame)}\n\n`);
        connections.at(-1).stream.enqueue(encoder.encode(text.join("")));
        for (let turn = 0; turn < 5; turn++) {
            await tick();
        }
        await animationFrame();
        await animationFrame();
    };
    const say = (content) => send({ type: "chunk", content, done: false });
    const end = () => {
        const message = {
            author_id: { id: assistantId, is_ai_assistant: true, name: "Helper" },
            ai_run_ids: [RUN],
            body: ["markup", "<p>Hello <strong>you</strong></p>\n"],
            id: 10_000,
            message_type: "comment",
            model: "discuss.channel",
            res_id: channelId,
            thread: { id: channelId, model: "discuss.channel" },
        };
        store.insert({ "mail.message": [message] });
        const thread = store.Thread.get({ id: channelId, model: "discuss.channel" });
        thread.messages.push(store["mail.message"].get(10_000));
        tell({ message_id: 10_000, state: "done" });
    };
    const run = store["ai.run"].get(RUN);
    return { channelId, connections, end, run, say, send, store, tell };
}

test("a reply appears as it is said, and is formatted while it grows", async () => {
    const { say } = await openReply();
    await contains(".o-ai-ActiveRun-progress:contains('Thinking…')");
    await say("Hello **yo");
    await contains(".o-ai-LiveText.o-writing strong:text('yo')");
    await contains(".o-ai-ActiveRun-progress", { count: 0 });
    await say("u**\n\n| a |\n|---|\n| 1 |");
    await contains(".o-ai-LiveText strong:text('you')");
    await contains(".o-ai-LiveText td:text('1')");
});

test("the message takes the place of what was shown in the making, at once", async () => {
    const { end, say } = await openReply();
    await say("Hello **you**");
    await contains(".o-mail-Message", { count: 1 });
    end();
    await animationFrame();
    expect(".o-ai-ActiveRun").toHaveCount(0);
    expect(".o-mail-Message.o-ai-Reply .o-mail-Message-richBody strong").toHaveText("you");
});

test("what is finished stays the same element while the rest grows", async () => {
    const { say } = await openReply();
    await say("One\n\nTwo\n\nThr");
    const first = document.querySelector(".o-ai-LiveText p");
    await say("ee\n\n- four");
    await contains(".o-ai-LiveText li:text('four')");
    expect(document.querySelector(".o-ai-LiveText p")).toBe(first);
});

test("a word more renders nothing but what grows", async () => {
    const rendered = new Set();
    for (const component of [ActiveRun, Composer, LiveText, Message, Thread, ToolCallList]) {
        patchWithCleanup(component.prototype, {
            setup() {
                super.setup(...arguments);
                onWillRender(() => rendered.add(component.name));
            },
        });
    }
    const { say, tell } = await openReply();
    tell({ tool_call_ids: [{ arguments: {}, display_name: "Search", id: 1, state: "done" }] });
    await contains(".o-ai-ToolCallList");
    await say("Hello");
    await say(" you");
    rendered.clear();
    await say(" there");
    await contains(".o-ai-LiveText p:text('Hello you there')");
    expect([...rendered].sort()).toEqual(["ActiveRun", "LiveText"]);
});

test("a very long list is not made anew with each word, and is complete in the end", async () => {
    patchWithCleanup(GrowingMarkdown.prototype, {
        update() {
            const pieces = super.update(...arguments);
            this.growingTags = 1_000_000;
            return pieces;
        },
    });
    const { say } = await openReply();
    await say("- one\n");
    await contains(".o-ai-LiveText li", { count: 1 });
    await say("- two\n");
    await say("- three\n");
    expect(".o-ai-LiveText li").toHaveCount(1);
    await advanceTime(60_000);
    await contains(".o-ai-LiveText li", { count: 3 });
});

test("emojis are as large as in the message", async () => {
    const { say } = await openReply();
    await loadEmoji();
    await say("Well done 🎉");
    await contains(".o-ai-LiveText .o-mail-emoji:text('🎉')");
});

test("nothing is kept of a stream whose reply is there", async () => {
    const { end, say } = await openReply();
    const { entries } = getService("ai_discuss.run_streams");
    await say("Hello");
    expect([...entries.keys()]).toEqual([RUN]);
    end();
    await contains(".o-ai-ActiveRun", { count: 0 });
    await advanceTime(5000);
    expect([...entries.keys()]).toEqual([]);
});

test("who may not read its stream is told of the reply when it is there, and asks for nothing", async () => {
    patchWithCleanup(AiRun.prototype, {
        get isReadable() {
            return false;
        },
    });
    const { connections, end } = await openReply();
    await contains(".o-ai-ActiveRun-progress:contains('Thinking…')");
    end();
    await contains(".o-mail-Message.o-ai-Reply:contains('Hello you')");
    expect(connections).toHaveLength(0);
});

test("code can be copied once it is complete", async () => {
    patchWithCleanup(browser.navigator.clipboard, {
        writeText: async (text) => expect.step(text),
    });
    const { say } = await openReply();
    await say("```js\nlet a = 1 < 2;\n```");
    await contains(".o-ai-LiveText pre");
    expect(".o-ai-CopyCode").toHaveCount(0);
    await say("\n\nSo.");
    await click(".o-ai-LiveText pre .o-ai-CopyCode");
    await contains(".o-ai-CopyCode[title='Copied'] .fa-check");
    expect.verifySteps(["let a = 1 < 2;\n"]);
});

test("thoughts are folded away, with how long they took", async () => {
    const { run, say, send } = await openReply();
    await send({ type: "reasoning", content: "Let me " }, { type: "reasoning", content: "see." });
    await contains(".o-ai-Reasoning-summary:contains('Thinking…')");
    await contains(".o-ai-ActiveRun-progress", { count: 0 });
    expect(".o-ai-Reasoning-text").toHaveCount(0);
    run.thinkingSince = Date.now() - 4000;
    await say("Hello");
    await contains(".o-ai-Reasoning-summary:contains('Thought for 4 s')");
    await click(".o-ai-Reasoning-summary");
    await contains(".o-ai-Reasoning-text:text('Let me see.')");
});

test("thoughts stay with the reply while the page is open", async () => {
    const { end, say, send } = await openReply();
    await send({ type: "reasoning", content: "Let me see." });
    await say("Hello");
    end();
    await contains(".o-mail-Message .o-ai-Reasoning");
});

test("what a takeover takes back disappears, and comes again", async () => {
    const { say, send } = await openReply();
    await say("Hello **wor");
    await send({ type: "restart", round: 1 }, { type: "chunk", content: "Hi" });
    await contains(".o-ai-LiveText p:text('Hi')");
});

test("a stream that breaks goes on without a lost or a doubled word", async () => {
    const { connections, say } = await openReply();
    await say("One two");
    connections[0].stream.error(new TypeError("network error"));
    await contains(".o-ai-LiveText p:text('One two')");
    for (let turn = 0; turn < 10 && connections.length < 2; turn++) {
        await animationFrame();
    }
    expect(connections[1].lastEventId).toBe(`${RUN}-1`);
    await say(" three");
    await contains(".o-ai-LiveText p:text('One two three')");
});

test("a hidden tab has no stream, and goes on when it is seen again", async () => {
    const { connections, say } = await openReply();
    await say("One");
    let isHidden = true;
    patchWithCleanup(Document.prototype, {
        get visibilityState() {
            return isHidden ? "hidden" : "visible";
        },
    });
    document.dispatchEvent(new Event("visibilitychange"));
    await animationFrame();
    expect(connections).toHaveLength(1);
    isHidden = false;
    document.dispatchEvent(new Event("visibilitychange"));
    await animationFrame();
    expect(connections).toHaveLength(2);
    await say(" two");
    await contains(".o-ai-LiveText p:text('One two')");
});

test("where no stream can be had, the reply comes as a whole", async () => {
    const { connections, end } = await openReply({ status: 404 });
    await contains(".o-ai-ActiveRun-progress:contains('Thinking…')");
    expect(connections).toHaveLength(1);
    end();
    await contains(".o-mail-Message.o-ai-Reply:contains('Hello you')");
    await contains(".o-ai-ActiveRun", { count: 0 });
});

test("a reply behind another one waits for its turn, without a stream of its own", async () => {
    const { channelId, connections, store, tell } = await openReply();
    tell({ id: RUN + 1, state: "queued" });
    await contains(".o-ai-ActiveRun-progress:contains('Waiting for its turn…')");
    expect(connections).toHaveLength(1);
    store["ai.run"].get(RUN).state = "done";
    await contains(".o-ai-ActiveRun", { count: 1 });
    await contains(".o-ai-ActiveRun-progress:contains('Thinking…')");
    expect(connections).toHaveLength(2);
    expect(store.Thread.get({ id: channelId, model: "discuss.channel" }).aiActiveRuns).toHaveLength(1);
});

test("the assistant is not said to be typing where its reply is seen in the making", async () => {
    const { channelId, run, store } = await openReply();
    const thread = store.Thread.get({ id: channelId, model: "discuss.channel" });
    const member = thread.channel_member_ids.find(({ persona }) => persona.eq(run.assistant_partner_id));
    member.isTyping = true;
    await animationFrame();
    expect(".o-mail-Composer .o-discuss-Typing-icon").toHaveCount(0);
    run.state = "done";
    await contains(".o-mail-Composer .o-discuss-Typing-icon");
});

test("who is at the end stays there; who has scrolled up is left alone", async () => {
    const { channelId, say, store } = await openReply({ lines: 40 });
    const thread = store.Thread.get({ id: channelId, model: "discuss.channel" });
    await scroll(".o-mail-Thread", "bottom");
    await waitUntil(() => thread.scrollTop === "bottom"); // the event comes with a frame
    await contains(".o-mail-Thread", { scroll: "bottom" });
    await say("- one\n- two\n- three\n- four\n- five");
    await contains(".o-ai-LiveText li:text('five')");
    await contains(".o-mail-Thread", { scroll: "bottom" });
    await scroll(".o-mail-Thread", 0);
    await waitUntil(() => thread.scrollTop === 0);
    await say("\n- six\n- seven\n- eight\n- nine");
    await contains(".o-ai-LiveText li:text('nine')");
    await contains(".o-mail-Thread", { scroll: 0 });
});
