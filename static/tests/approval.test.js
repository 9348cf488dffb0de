import {
    click,
    contains,
    defineMailModels,
    focus,
    insertText,
    openDiscuss,
    start,
    startServer,
} from "@mail/../tests/mail_test_helpers";
import { advanceTime, describe, expect, test } from "@odoo/hoot";
import { press } from "@odoo/hoot-dom";
import {
    asyncStep,
    Command,
    getService,
    onRpc,
    serverState,
    waitForSteps,
} from "@web/../tests/web_test_helpers";
import { serializeDateTime } from "@web/core/l10n/dates";

describe.current.tags("desktop");
defineMailModels();

const RUN = 7;

/**
 * Open a chat in which an assistant makes `calls`, asked by the person themselves or by Bob.
 *
 * @param {Object} [options]
 * @param {Object[]} [options.calls]
 * @param {boolean} [options.isMine]
 * @param {boolean} [options.isManager]
 */
async function openRun({ calls = [{}], isMine = true, isManager = false } = {}) {
    const pyEnv = await startServer();
    const assistantId = pyEnv["res.partner"].create({ name: "Helper" });
    const bobPartnerId = pyEnv["res.partner"].create({ name: "Bob" });
    const bobId = pyEnv["res.users"].create({ partner_id: bobPartnerId });
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
        body: "<p>Delete it</p>",
        message_type: "comment",
        model: "discuss.channel",
        res_id: channelId,
    });
    await start();
    // The mock server's channels don't know of runs; the real ones send the same.
    getService("mail.store").insert({
        Store: { is_ai_manager: isManager },
        "ai.run": [
            {
                assistant_partner_id: assistantId,
                channel_id: { id: channelId, model: "discuss.channel" },
                id: RUN,
                state: "waiting",
                user_id: isMine ? serverState.userId : bobId,
            },
        ],
        "ai.tool.call": calls.map((call, index) => ({ ...waitingCall(index + 1), ...call })),
        "res.partner": [{ id: bobPartnerId, name: "Bob" }],
        "res.users": [
            { id: bobId, partner_id: bobPartnerId },
            { id: serverState.userId, partner_id: serverState.partnerId },
        ],
    });
    await openDiscuss(channelId);
    await contains(".o-mail-Message:contains('Delete it')");
    return pyEnv;
}

/** A call that waits for a decision, as `ai.tool.call` describes it in the store. */
function waitingCall(id) {
    return {
        arguments: { number: 1 },
        call_id: `call-${id}`,
        decided_by: false,
        destructive: true,
        display_name: "Delete a note",
        duration_ms: 0,
        id,
        is_error: false,
        read_only: false,
        response: false,
        round: 1,
        run_id: RUN,
        server_name: "Office tools",
        started_at: false,
        state: "approval",
        tool_name: "delete_note",
        truncated: false,
    };
}

/** Answer the endpoints of a run, and take down what was asked of them. */
function answerCommands(answer = () => ({ run_id: RUN, state: "queued" })) {
    for (const command of ["approve", "deny", "stop"]) {
        onRpc(
            `/api/ai/run/${RUN}/${command}`,
            async (request) => {
                const body = await request.json();
                const { id, ...rest } = body;
                const more = Object.keys(rest).length ? JSON.stringify(rest) : "";
                asyncStep([command, id, more].filter(Boolean).join(" "));
                return answer();
            },
            { pure: true }
        );
    }
}

/** What the bus tells when the state of a call has changed. */
function tell(pyEnv, values) {
    const [partner] = pyEnv["res.partner"].read(serverState.partnerId);
    pyEnv["bus.bus"]._sendone(partner, "assistant.toolCall.updated", values);
}

test("a call that waits is in plain sight below the messages", async () => {
    await openRun();
    await contains(".o-ai-ActiveRun-status:text('needs your approval')");
    await contains(".o-ai-ToolCall[open][data-state='approval'] .o-ai-ToolCall-title:text('Delete a note')");
    await contains(".o-ai-Approval-hint.text-danger:contains('May delete or overwrite')");
    expect(".o-ai-ToolCall-arguments").toHaveText('{\n  "number": 1\n}', { raw: true });
});

test("the person who asked approves, and everybody sees who did", async () => {
    answerCommands();
    const pyEnv = await openRun();
    await click(".o-ai-Approval-approve");
    await waitForSteps(["approve call-1"]);
    await contains(".o-ai-Approval-approve:disabled .fa-spin");
    tell(pyEnv, { decided_by: serverState.userId, id: 1, state: "pending" });
    await contains(".o-ai-Approval", { count: 0 });
    await contains(".o-ai-ToolCallList:not([open])");
    await click(".o-ai-ToolCallList-summary");
    await contains(".o-ai-ToolCall-decision:text('Approved by Mitchell Admin')");
});

test("a denial is sent as one", async () => {
    answerCommands();
    const pyEnv = await openRun();
    await click(".o-ai-Approval-deny");
    await waitForSteps(["deny call-1"]);
    tell(pyEnv, { decided_by: serverState.userId, id: 1, is_error: true, state: "denied" });
    await click(".o-ai-ToolCallList:not([open]) > summary");
    await contains(".o-ai-ToolCall[data-state='denied'] .fa-ban");
    await contains(".o-ai-ToolCall-decision:text('Denied by Mitchell Admin')");
});

test("who only reads along sees whom the call waits for, and decides nothing", async () => {
    await openRun({ isMine: false });
    await contains(".o-ai-Approval-waiting:text('Waiting for Bob to decide')");
    await contains(".o-ai-Approval button", { count: 0 });
    await contains(".o-mail-Composer button[name='ai-stop']", { count: 0 });
});

test("a manager decides for others, and sees for whom", async () => {
    await openRun({ isMine: false, isManager: true });
    await contains(".o-ai-Approval-approve:enabled");
    await contains(".o-ai-Approval-deny:enabled");
    await contains(".o-ai-Approval:contains('Asked by Bob')");
});

test("a decision that the server refuses can be made again", async () => {
    answerCommands(() => new Response('{"error": {"message": "Not now."}}', { status: 409 }));
    await openRun();
    await click(".o-ai-Approval-approve");
    await waitForSteps(["approve call-1"]);
    await contains(".o-ai-Approval-problem[role='alert']:contains('Not now.')");
    await contains(".o-ai-Approval-approve:enabled");
});

test("an answer that is no JSON is told as a server that cannot be reached", async () => {
    answerCommands(() => new Response("<html>Bad Gateway</html>", { status: 502 }));
    await openRun();
    await click(".o-ai-Approval-deny");
    await waitForSteps(["deny call-1"]);
    await contains(".o-ai-Approval-problem:contains('cannot be reached')");
    await contains(".o-ai-Approval-deny:enabled");
});

test("until when a call waits is told, and that nobody decided", async () => {
    const expires_at = serializeDateTime(luxon.DateTime.now().plus({ hours: 3, minutes: 1 }));
    const pyEnv = await openRun({ calls: [{ expires_at }] });
    await contains(".o-ai-Approval-expiry:text('Expires in 3 hours')");
    tell(pyEnv, { decided_at: expires_at, decided_by: false, id: 1, is_error: true, state: "denied" });
    await click(".o-ai-ToolCallList:not([open]) > summary");
    await contains(".o-ai-ToolCall-decision:text('Nobody decided in time')");
});

test("a call that waits for ever says nothing of an end", async () => {
    await openRun({ calls: [{ expires_at: false }] });
    await contains(".o-ai-Approval-approve:enabled");
    await contains(".o-ai-Approval-expiry", { count: 0 });
});

test("a call whose tool has changed since it was approved is asked about again", async () => {
    const pyEnv = await openRun({ calls: [{ decided_by: serverState.userId, state: "pending" }] });
    await contains(".o-ai-ToolCallList:not([open])");
    tell(pyEnv, { decided_by: false, has_changed: true, id: 1, state: "approval" });
    await contains(".o-ai-Approval-changed:contains('The tool has changed since')");
    await contains(".o-ai-Approval-approve:enabled");
});

test("with the keyboard, one decision leads to the next, and the last to the composer", async () => {
    answerCommands();
    const pyEnv = await openRun({ calls: [{}, { display_name: "Empty the bin" }] });
    await focus(".o-ai-Approval-approve[aria-label='Approve Delete a note']");
    await press("Enter");
    await waitForSteps(["approve call-1"]);
    await contains(".o-ai-Approval-approve[aria-label='Approve Empty the bin']:focus");
    tell(pyEnv, { decided_by: serverState.userId, id: 1, state: "pending" });
    await contains(".o-ai-Approval", { count: 1 });
    await press("Enter");
    await waitForSteps(["approve call-2"]);
    await contains(".o-mail-Composer-input:focus");
});

test("what waits for the person is counted in the side bar", async () => {
    const pyEnv = await openRun();
    await contains(".o-mail-DiscussSidebarChannel-badge:text('1')");
    tell(pyEnv, { decided_by: serverState.userId, id: 1, state: "pending" });
    await contains(".o-mail-DiscussSidebarChannel-badge", { count: 0 });
});

test("an own run is stopped from the composer", async () => {
    answerCommands();
    await openRun();
    await click(".o-mail-Composer button[name='ai-stop']");
    await waitForSteps(["stop"]);
    await contains(".o-mail-Composer button[name='ai-stop']:disabled");
    getService("mail.store").insert({ "ai.run": [{ id: RUN, state: "cancelled" }] });
    await contains(".o-mail-Composer button[name='ai-stop']", { count: 0 });
    await contains(".o-ai-ActiveRun", { count: 0 });
});

test("/stop is a command where an assistant is at work", async () => {
    onRpc("discuss.channel", "execute_command_ai_stop", ({ args }) => {
        asyncStep(`stop in ${args[0].length} channel`);
        return true;
    });
    await openRun();
    await insertText(".o-mail-Composer-input", "/st");
    await contains(".o-mail-NavigableList-item:contains('stop')");
    await insertText(".o-mail-Composer-input", "op ");
    await contains(".o-mail-NavigableList-item", { count: 0 });
    await press("Enter");
    await waitForSteps(["stop in 1 channel"]);
});

test("other arguments are sent where the person has changed them", async () => {
    answerCommands();
    await openRun();
    await click(".o-ai-Approval-edit[aria-label='Change the arguments of Delete a note']");
    await contains(".o-ai-Approval-editor:focus");
    expect(".o-ai-Approval-editor").toHaveValue('{\n  "number": 1\n}');
    await insertText(".o-ai-Approval-editor", '{"number": 2}', { replace: true });
    await click(".o-ai-Approval-approve:contains('Approve changes')");
    await waitForSteps(['approve call-1 {"arguments":{"number":2}}']);
});

test("arguments that are no JSON object are not sent, and the person is told why", async () => {
    await openRun();
    await click(".o-ai-Approval-edit");
    for (const [written, told] of [
        ["{", "not valid JSON"],
        ["[1]", "JSON object"],
    ]) {
        await insertText(".o-ai-Approval-editor", written, { replace: true });
        await click(".o-ai-Approval-approve");
        await contains(`.o-ai-Approval-problem[role='alert']:contains('${told}')`);
        await contains(".o-ai-Approval-editor[aria-invalid]:focus");
    }
    await waitForSteps([]);
});

test("what the server says of changed arguments is told beside them, and nothing is lost", async () => {
    const message = "number: 'x' is not of type 'integer'";
    answerCommands(() => new Response(JSON.stringify({ error: { message } }), { status: 400 }));
    await openRun();
    await click(".o-ai-Approval-edit");
    await insertText(".o-ai-Approval-editor", '{"number": "x"}', { replace: true });
    await press(["ctrl", "Enter"]);
    await waitForSteps(['approve call-1 {"arguments":{"number":"x"}}']);
    await contains(".o-ai-Approval-problem:contains('not of type')");
    expect(".o-ai-Approval-editor").toHaveValue('{"number": "x"}');
});

test("with Escape the change is dropped, and the call approved as it was", async () => {
    answerCommands();
    await openRun();
    await click(".o-ai-Approval-edit");
    await insertText(".o-ai-Approval-editor", "nonsense", { replace: true });
    await press("Escape");
    await contains(".o-ai-Approval-editor", { count: 0 });
    await contains(".o-ai-Approval-edit:focus");
    await click(".o-ai-Approval-approve");
    await waitForSteps(["approve call-1"]);
});

test("what a rounded number or somebody else's account would suffer from cannot be changed", async () => {
    await openRun({
        calls: [{ arguments: { id: 2 ** 60 } }, { display_name: "Send", is_as_asker: true }],
        isManager: true,
        isMine: false,
    });
    await contains(".o-ai-Approval-approve", { count: 2 });
    await contains(".o-ai-Approval-edit", { count: 0 });
});

test("a tool is allowed from now on with the approval, by whoever may", async () => {
    answerCommands();
    await openRun({ calls: [{ always_by: "asker" }] });
    await click(".o-ai-Approval-always label:contains('Always allow')");
    await click(".o-ai-Approval-approve");
    await waitForSteps(['approve call-1 {"always":true}']);
});

test("what only managers may allow for ever is offered to them alone", async () => {
    await openRun({ calls: [{ always_by: "manager" }, { always_by: false }] });
    await contains(".o-ai-Approval-approve", { count: 2 });
    await contains(".o-ai-Approval-always", { count: 0 });
    getService("mail.store").insert({ Store: { is_ai_manager: true } });
    await contains(".o-ai-Approval-always", { count: 1 });
});

test("the line of the calls says what is being done, and for how long", async () => {
    const pyEnv = await openRun({ calls: [{ state: "pending" }] });
    await contains(".o-ai-ToolCallList:not([open]) .o-ai-ToolCallList-title:text('Using Delete a note')");
    tell(pyEnv, { elapsed_ms: 3000, id: 1, state: "invoking" });
    await contains(".o-ai-ToolCallList-elapsed:text('3 s')");
    await advanceTime(2000);
    await contains(".o-ai-ToolCallList-elapsed:text('5 s')");
    await advanceTime(60_000);
    await contains(".o-ai-ToolCallList-elapsed:text('1 min 5 s')");
    tell(pyEnv, { elapsed_ms: false, id: 1, state: "done" });
    await contains(".o-ai-ToolCallList-title:text('Used Delete a note')");
    await contains(".o-ai-ToolCallList-elapsed", { count: 0 });
});

test("what was folded away is in plain sight again once it needs a decision", async () => {
    const pyEnv = await openRun({ calls: [{}, { state: "pending" }] });
    await click(".o-ai-ToolCallList-summary");
    await contains(".o-ai-Approval", { count: 0 });
    tell(pyEnv, { id: 2, state: "approval" });
    await contains(".o-ai-Approval", { count: 2 });
});

test("a running call shows how far it is", async () => {
    const pyEnv = await openRun({ calls: [{ state: "invoking" }] });
    await contains(".o-ai-ToolCallList-title:text('Using Delete a note')");
    await contains(".o-ai-ToolCallList-progress", { count: 0 });
    tell(pyEnv, { id: 1, progress: 3, progress_message: "Reading page 3", progress_total: 12 });
    await contains(".o-ai-ToolCallList-progress:contains('Reading page 3')");
    await contains(".o-ai-ToolCallList-elapsed:text('25 %')");
    await click(".o-ai-ToolCallList-summary");
    await contains(".o-ai-ToolCall-preview:text('Reading page 3')");
    await contains(".o-ai-ToolCall-duration:text('25 %')");
    await contains(".o-ai-ToolCall-progress[aria-valuenow='25']");
    tell(pyEnv, { duration_ms: 2000, id: 1, started_at: "2026-01-01 12:00:00", state: "done" });
    await contains(".o-ai-ToolCall-progress", { count: 0 });
    await contains(".o-ai-ToolCall-duration:text('2.0 s')");
});
