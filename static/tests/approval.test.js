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
import { describe, expect, test } from "@odoo/hoot";
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
                asyncStep(`${command} ${body.id ?? ""}`.trim());
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
    await contains(".o-ai-ToolCall:not([open])");
    await click(".o-ai-ToolCall-summary");
    await contains(".o-ai-ToolCall-decision:text('Approved by Mitchell Admin')");
});

test("a denial is sent as one", async () => {
    answerCommands();
    const pyEnv = await openRun();
    await click(".o-ai-Approval-deny");
    await waitForSteps(["deny call-1"]);
    tell(pyEnv, { decided_by: serverState.userId, id: 1, is_error: true, state: "denied" });
    await contains(".o-ai-ToolCall[data-state='denied'] .fa-ban");
    await click(".o-ai-ToolCall-summary");
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
    await contains(".o-ai-Approval button", { count: 2 });
    await contains(".o-ai-Approval:contains('Asked by Bob')");
});

test("a decision that the server refuses can be made again", async () => {
    answerCommands(() => new Response('{"error": {"message": "Not now."}}', { status: 409 }));
    await openRun();
    await click(".o-ai-Approval-approve");
    await waitForSteps(["approve call-1"]);
    await contains(".o_notification:contains('Not now.')");
    await contains(".o-ai-Approval-approve:enabled");
});

test("an answer that is no JSON is told as a server that cannot be reached", async () => {
    answerCommands(() => new Response("<html>Bad Gateway</html>", { status: 502 }));
    await openRun();
    await click(".o-ai-Approval-deny");
    await waitForSteps(["deny call-1"]);
    await contains(".o_notification:contains('cannot be reached')");
    await contains(".o-ai-Approval-deny:enabled");
});

test("until when a call waits is told, and that nobody decided", async () => {
    const expires_at = serializeDateTime(luxon.DateTime.now().plus({ hours: 3, minutes: 1 }));
    const pyEnv = await openRun({ calls: [{ expires_at }] });
    await contains(".o-ai-Approval-expiry:text('Expires in 3 hours')");
    tell(pyEnv, { decided_at: expires_at, decided_by: false, id: 1, is_error: true, state: "denied" });
    await click(".o-ai-ToolCall[data-state='denied'] .o-ai-ToolCall-summary");
    await contains(".o-ai-ToolCall-decision:text('Nobody decided in time')");
});

test("a call that waits for ever says nothing of an end", async () => {
    await openRun({ calls: [{ expires_at: false }] });
    await contains(".o-ai-Approval button", { count: 2 });
    await contains(".o-ai-Approval-expiry", { count: 0 });
});

test("a call whose tool has changed since it was approved is asked about again", async () => {
    const pyEnv = await openRun({ calls: [{ decided_by: serverState.userId, state: "pending" }] });
    await contains(".o-ai-ToolCall[data-state='pending']");
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

test("a running call shows how far it is", async () => {
    const pyEnv = await openRun({ calls: [{ state: "invoking" }] });
    await contains(".o-ai-ToolCall-preview:contains('number: 1')");
    await contains(".o-ai-ToolCall-progress", { count: 0 });
    tell(pyEnv, { id: 1, progress: 3, progress_message: "Reading page 3", progress_total: 12 });
    await contains(".o-ai-ToolCall-preview:text('Reading page 3')");
    await contains(".o-ai-ToolCall-duration:text('25 %')");
    await contains(".o-ai-ToolCall-progress[aria-valuenow='25']");
    tell(pyEnv, { duration_ms: 2000, id: 1, started_at: "2026-01-01 12:00:00", state: "done" });
    await contains(".o-ai-ToolCall-progress", { count: 0 });
    await contains(".o-ai-ToolCall-duration:text('2.0 s')");
});
