import {
    click,
    contains,
    defineMailModels,
    openDiscuss,
    start,
    startServer,
} from "@mail/../tests/mail_test_helpers";
import { advanceTime, describe, expect, test } from "@odoo/hoot";
import {
    asyncStep,
    Command,
    getService,
    patchWithCleanup,
    serverState,
    waitForSteps,
} from "@web/../tests/web_test_helpers";

import { browser } from "@web/core/browser/browser";

describe.current.tags("desktop");
defineMailModels();

const RUN = 7;

/** Open a chat in which an assistant has answered, after `calls`. */
async function openReply(...calls) {
    const pyEnv = await startServer();
    const partnerId = pyEnv["res.partner"].create({ name: "Helper" });
    const channelId = pyEnv["discuss.channel"].create({
        channel_member_ids: [
            Command.create({ partner_id: serverState.partnerId }),
            Command.create({ partner_id: partnerId }),
        ],
        channel_type: "chat",
    });
    const messageId = pyEnv["mail.message"].create({
        author_id: partnerId,
        body: "<blockquote data-o-mail-quote='1'>said</blockquote><p>It is noon.</p>",
        message_type: "comment",
        model: "discuss.channel",
        res_id: channelId,
    });
    await start();
    // The mock server's messages and partners don't know of assistants; the real ones send the same.
    getService("mail.store").insert({
        "ai.run": [{ id: RUN, state: "done" }],
        "ai.tool.call": calls.map((call, index) => ({ ...toolCall(index + 1), ...call })),
        "mail.message": [{ id: messageId, tool_call_ids: calls.map((_, index) => index + 1) }],
        "res.partner": [{ id: partnerId, is_ai_assistant: true }],
    });
    await openDiscuss(channelId);
    await contains(".o-ai-Reply p:text('It is noon.')");
    return pyEnv;
}

/** A finished call, as `ai.tool.call` describes it in the store. */
function toolCall(id) {
    return {
        arguments: { time_zone: "UTC" },
        call_id: `call-${id}`,
        display_name: "Current time",
        duration_ms: 1234,
        id,
        is_error: false,
        response: '{"time":"12:00"}',
        round: 1,
        run_id: RUN,
        server_name: "Office tools",
        started_at: "2026-01-01 12:00:00",
        state: "done",
        tool_name: "current_time",
        truncated: false,
    };
}

test("a reply's tool calls are folded into one line", async () => {
    await openReply({}, { display_name: "Calculator" });
    await contains(".o-ai-ToolCallList:not([open]) summary:text('Used 2 tools')");
    await contains(".o-ai-ToolCall", { count: 0 });
});

test("unfolded, each call shows its state, its tool and its server", async () => {
    await openReply({}, { is_error: true, state: "error" });
    await contains(".o-ai-ToolCallList-summary:contains('Used Current time')");
    await contains(".o-ai-ToolCallList-summary:contains('2 calls')");
    await contains(".o-ai-ToolCallList-summary .text-danger:contains('1 failed')");
    await click(".o-ai-ToolCallList-summary");
    await contains(".o-ai-ToolCall", { count: 2 });
    await contains(".o-ai-ToolCall[data-state='done'] .fa-check-circle");
    await contains(".o-ai-ToolCall[data-state='error'] .fa-times-circle");
    await contains(".o-ai-ToolCall-title:text('Current time')", { count: 2 });
    await contains(".o-ai-ToolCall-server:text('Office tools')", { count: 2 });
    await contains(".o-ai-ToolCall-duration:text('1.2 s')", { count: 2 });
    await contains(".o-ai-ToolCall-details", { count: 0 });
});

test("an unfolded call shows its arguments and its result, readable", async () => {
    await openReply({}, { display_name: "Calculator" });
    await click(".o-ai-ToolCallList-summary");
    await click(".o-ai-ToolCall-summary:eq(0)");
    await contains(".o-ai-ToolCall-details", { count: 1 });
    expect(".o-ai-ToolCall-arguments").toHaveText('{\n  "time_zone": "UTC"\n}', { raw: true });
    expect(".o-ai-ToolCall-response").toHaveText('{\n  "time": "12:00"\n}', { raw: true });
});

test("characters that deceive who reads them are written out in arguments", async () => {
    await openReply({ arguments: { file: "\u202egnp.exe" } });
    await click(".o-ai-ToolCallList-summary");
    await contains(".o-ai-ToolCall-arguments");
    expect(".o-ai-ToolCall-arguments").toHaveText('{\n  "file": "\\u202egnp.exe"\n}', { raw: true });
});

test("the calls of each step stand together where there is more than one", async () => {
    await openReply({}, { display_name: "Calculator" }, { display_name: "Notes", round: 3 });
    await click(".o-ai-ToolCallList-summary");
    await contains(".o-ai-ToolCallList-step", { count: 2 });
    await contains("ul[aria-label='Step 1'] .o-ai-ToolCall", { count: 2 });
    await contains("ul[aria-label='Step 2'] .o-ai-ToolCall-title:text('Notes')");
});

test("a reply that took one step only doesn't count it", async () => {
    await openReply({ round: 2 }, { round: 2 });
    await click(".o-ai-ToolCallList-summary");
    await contains(".o-ai-ToolCall", { count: 2 });
    await contains(".o-ai-ToolCallList-step", { count: 0 });
});

test("arguments and results are copied as they are shown", async () => {
    patchWithCleanup(browser.navigator.clipboard, { writeText: async (text) => asyncStep(text) });
    await openReply({});
    await click(".o-ai-ToolCallList-summary");
    await click(".o-ai-CopyText[aria-label='Copy: Arguments']");
    await waitForSteps(['{\n  "time_zone": "UTC"\n}']);
    await contains(".o-ai-CopyText[aria-label='Copied']", { count: 1 });
    await advanceTime(2000);
    await contains(".o-ai-CopyText[aria-label='Copied']", { count: 0 });
    await click(".o-ai-CopyText[aria-label='Copy: Result']");
    await waitForSteps(['{\n  "time": "12:00"\n}']);
});

test("what a tool returned to listen to can be played", async () => {
    await openReply({ attachment_ids: [5] });
    getService("mail.store").insert({
        "ir.attachment": [{ id: 5, mimetype: "audio/mpeg", name: "bell.mp3" }],
    });
    await click(".o-ai-ToolCallList-summary");
    await contains("audio.o-ai-ToolCall-sound[controls][preload='none'][aria-label='bell.mp3']");
});

test("what a person has unfolded stays so when the reply is there", async () => {
    await openReply({ state: "invoking" });
    const store = getService("mail.store");
    store.insert({ "ai.run": [{ id: RUN, areCallsUnfolded: true }] });
    store["ai.tool.call"].get(1).isUnfolded = false;
    await contains(".o-ai-ToolCallList[open] .o-ai-ToolCall:not([open])");
});

test("a call that was changed before it was approved shows both, who did it, and when", async () => {
    await openReply({
        arguments: { time_zone: "CET" },
        decided_at: "2026-01-01 12:00:00",
        decided_by: serverState.userId,
        proposed_arguments: { time_zone: "UTC" },
    });
    getService("mail.store").insert({
        "res.partner": [{ id: serverState.partnerId, name: "Mitchell Admin" }],
        "res.users": [{ id: serverState.userId, partner_id: serverState.partnerId }],
    });
    await click(".o-ai-ToolCallList-summary");
    await contains(".o-ai-ToolCall-label:contains('Arguments (changed)')");
    expect(".o-ai-ToolCall-arguments").toHaveText('{\n  "time_zone": "CET"\n}', { raw: true });
    await click(".o-ai-ToolCall-proposal > summary");
    expect(".o-ai-ToolCall-proposed").toHaveText('{\n  "time_zone": "UTC"\n}', { raw: true });
    await contains(".o-ai-ToolCall-decision:text('Changed and approved by Mitchell Admin')");
    await contains("time.o-ai-ToolCall-decidedAt:contains('2026')");
});

test("a single call is unfolded with its list", async () => {
    await openReply({ response: "plain <b>text</b>" });
    await click(".o-ai-ToolCallList-summary");
    await contains(".o-ai-ToolCall-response:text('plain <b>text</b>')");
});

test("a call changes with the server's", async () => {
    const pyEnv = await openReply({ state: "invoking", response: false });
    await click(".o-ai-ToolCallList-summary");
    await contains(".o-ai-ToolCall .fa-spin");
    const [partner] = pyEnv["res.partner"].read(serverState.partnerId);
    pyEnv["bus.bus"]._sendone(partner, "assistant.toolCall.updated", {
        id: 1,
        response: "12 o'clock",
        state: "done",
    });
    await contains(".o-ai-ToolCall .fa-check-circle");
    await contains(".o-ai-ToolCall-response:text(12 o'clock)");
});

test("a denied call is not said to have been used, nor to have failed", async () => {
    await openReply({ is_error: true, response: "Denied by Bob.", state: "denied" });
    await contains(".o-ai-ToolCallList-summary:contains('Did not use Current time')");
    await contains(".o-ai-ToolCallList-summary:contains('1 denied')");
    expect(".o-ai-ToolCallList-summary:contains('failed')").toHaveCount(0);
});

test("that a call was denied is said once", async () => {
    await openReply({
        decided_by: serverState.userId,
        is_error: true,
        response: "Denied by Mitchell Admin. Do not repeat the call.",
        state: "denied",
    });
    getService("mail.store").insert({
        "res.partner": [{ id: serverState.partnerId, name: "Mitchell Admin" }],
        "res.users": [{ id: serverState.userId, partner_id: serverState.partnerId }],
    });
    await click(".o-ai-ToolCallList-summary");
    await contains(".o-ai-ToolCall-decision:text('Denied by Mitchell Admin')");
    await contains(".o-ai-ToolCall-response", { count: 0 });
});

test("links of a result can be opened where that is safe, and only there", async () => {
    await openReply({
        parts: [
            { kind: "link", name: "Manual", uri: "https://example.com/manual" },
            { kind: "link", name: "Trap", uri: "javascript:alert(1)" },
        ],
    });
    await click(".o-ai-ToolCallList-summary");
    await contains(".o-ai-ToolCall-links a", { count: 1 });
    await contains(".o-ai-ToolCall-links a[target='_blank'][rel='noopener noreferrer']:text('Manual')");
    await contains(".o-ai-ToolCall-links span:text('Trap')");
});

test("structured data is shown where the text does not say the same", async () => {
    await openReply({
        parts: [
            { kind: "structured", text: '{"time": "12:00"}' },
            { kind: "structured", text: '{"zone": "UTC"}' },
        ],
    });
    await click(".o-ai-ToolCallList-summary");
    await contains(".o-ai-ToolCall-structured", { count: 1 });
    expect(".o-ai-ToolCall-structured").toHaveText('{\n  "zone": "UTC"\n}', { raw: true });
});

test("images and files of a result are shown, and nobody can remove them", async () => {
    await openReply({ attachment_ids: [5, 6] });
    getService("mail.store").insert({
        "ir.attachment": [
            { id: 5, mimetype: "image/png", name: "chart.png" },
            { id: 6, mimetype: "text/plain", name: "list.txt" },
        ],
    });
    await click(".o-ai-ToolCallList-summary");
    await contains(".o-ai-ToolCall .o-mail-AttachmentContainer", { count: 2 });
    await contains(".o-ai-ToolCall img.o-mail-AttachmentImage[alt='chart.png']");
    await contains(".o-ai-ToolCall .o-mail-AttachmentCard:contains('list.txt')");
    await contains(".o-ai-ToolCall .o-mail-Attachment-unlink", { count: 0 });
});

test("what stands below the reply is named in the call, and not shown twice", async () => {
    await openReply({ attachment_ids: [5] });
    getService("mail.store").insert({
        "ir.attachment": [{ id: 5, mimetype: "image/png", name: "chart.png" }],
        "mail.message": [{ id: getService("mail.store")["ai.tool.call"].get(1).message_id.id, attachment_ids: [5] }],
    });
    await contains(".o-ai-Reply img.o-mail-AttachmentImage[alt='chart.png']");
    await click(".o-ai-ToolCallList-summary");
    await contains(".o-ai-ToolCall-files:contains('chart.png')");
    await contains("img.o-mail-AttachmentImage", { count: 1 });
});

test("a reply without tool calls has no list of them", async () => {
    await openReply();
    await contains(".o-ai-ToolCallList", { count: 0 });
});

test("what an assistant quotes is not folded away as an e-mail's history", async () => {
    await openReply();
    expect(".o-ai-Reply blockquote").toBeVisible();
    expect(".o-mail-ellipsis").toHaveCount(0);
});
