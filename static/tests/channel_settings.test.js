import {
    click,
    contains,
    defineMailModels,
    insertText,
    openDiscuss,
    start,
    startServer,
} from "@mail/../tests/mail_test_helpers";
import { describe, expect, test } from "@odoo/hoot";
import { press, select } from "@odoo/hoot-dom";
import { Deferred } from "@odoo/hoot-mock";
import {
    asyncStep,
    Command,
    getService,
    makeServerError,
    mockService,
    onRpc,
    serverState,
    waitForSteps,
} from "@web/../tests/web_test_helpers";

describe.current.tags("desktop");
defineMailModels();

const HELPER = { description: "Helps in the office.", id: 3, name: "Helper" };
const WRITER = { description: "", id: 4, name: "Writer" };
const SERVER = {
    attached: false,
    auth_type: "bearer",
    has_headers: false,
    has_token: true,
    id: 9,
    is_command: false,
    mine: true,
    name: "My calendar",
    shared: false,
    state: "connected",
    state_message: "",
    tool_count: 2,
    url: "https://calendar.example.com/mcp",
};

/** What `discuss.channel.ai_settings` tells, unless a test says otherwise. */
const SETTINGS = {
    allowed: [],
    assistant_id: HELPER.id,
    assistants: [HELPER, WRITER],
    can_change: true,
    can_choose: true,
    is_member: true,
    notices: [],
    reply_mode: "mention",
    reply_modes: [
        ["always", "To every message"],
        ["mention", "When mentioned"],
        ["off", "Never"],
    ],
    servers: [],
    tools: [tool(1, "Search products"), tool(2, "Delete a note", { asks: true, destructive: true })],
};

/** @param {number} id */
function tool(id, title, values = {}) {
    return {
        asks: false,
        can_switch: true,
        description: `${title}, if it is asked to.`,
        destructive: false,
        id,
        name: `tool_${id}`,
        on: true,
        read_only: false,
        server: "Office tools",
        server_id: 5,
        title,
        ...values,
    };
}

/**
 * Open a group and its panel. The mock server's channels don't know of assistants: what the panel asks for is answered
 * here, from `settings`, which a test may change later.
 *
 * @param {Object} [values] of the settings
 * @param {Object} [options]
 * @param {string} [options.type] of the conversation
 * @param {boolean} [options.withPanel]
 */
async function openSettings(values = {}, { type = "group", withPanel = true } = {}) {
    const settings = structuredClone({ ...SETTINGS, ...values });
    onRpc("discuss.channel", "ai_settings", () => structuredClone(settings));
    const pyEnv = await startServer();
    const bobId = pyEnv["res.partner"].create({ name: "Bob" });
    const channelId = pyEnv["discuss.channel"].create({
        channel_member_ids: [
            Command.create({ partner_id: serverState.partnerId }),
            Command.create({ partner_id: bobId }),
        ],
        channel_type: type,
        name: "Office",
    });
    await start();
    await openDiscuss(channelId);
    if (withPanel) {
        await openPanel();
    }
    return settings;
}

/** Discuss opens the members by itself, and what is opened before would be closed by that. */
async function openPanel() {
    await contains(".o-discuss-ChannelMemberList");
    await click("[name='ai-settings']");
    await contains(".o-ai-ChannelSettings");
}

/** Answer a call of the model's method with an error that is meant for people. */
function refuse(model, method) {
    onRpc(model, method, () => {
        throw makeServerError({ description: "Not now.", type: "UserError" });
    });
}

// -- the assistant

test("the panel shows who answers, when, and with which tools", async () => {
    await openSettings();
    await contains(".o-ai-ChannelSettings-assistant:value(3)");
    await contains(".o-ai-ChannelSettings-description:text('Helps in the office.')");
    await contains("input[name='ai_reply_mode'][value='mention']:checked");
    await contains(".o-ai-ToolSwitches-server summary:contains('Office tools')");
    await contains(".o-ai-ToolSwitches-tool", { count: 2 });
    await contains(".o-ai-ToolSwitches-tool:contains('Delete a note'):contains('Asks first')");
    await contains(".o-ai-ToolSwitches-tool:contains('Delete a note'):contains('May delete or overwrite')");
});

test("a chat of two people has no such panel", async () => {
    await openSettings({}, { type: "chat", withPanel: false });
    await contains("[name='search-messages']");
    await contains("[name='ai-settings']", { count: 0 });
});

test("it says that it loads, why it cannot, and tries again", async () => {
    const answer = new Deferred();
    let isBroken = true;
    onRpc("discuss.channel", "ai_settings", async () => {
        await answer;
        if (isBroken) {
            throw makeServerError({ description: "Not now.", type: "UserError" });
        }
        return SETTINGS;
    });
    const pyEnv = await startServer();
    const channelId = pyEnv["discuss.channel"].create({ channel_type: "group", name: "Office" });
    await start();
    await openDiscuss(channelId);
    await openPanel();
    await contains(".o-ai-ChannelSettings-loading[role='status']");
    answer.resolve();
    await contains(".o-ai-ChannelSettings .alert[role='alert']:contains('Not now.')");
    isBroken = false;
    await click(".o-ai-ChannelSettings-retry");
    await contains(".o-ai-ChannelSettings-assistant");
    await contains(".o-ai-ChannelSettings .alert", { count: 0 });
});

test("another assistant and another time to answer are chosen at once", async () => {
    const settings = await openSettings();
    onRpc("discuss.channel", "write", ({ args: [, values] }) => {
        asyncStep(JSON.stringify(values));
        settings.assistant_id = values.ai_assistant_id ?? settings.assistant_id;
        settings.reply_mode = values.ai_reply_mode ?? settings.reply_mode;
        return true;
    });
    await contains(".o-ai-ChannelSettings-assistant");
    await select("4", { target: ".o-ai-ChannelSettings-assistant" });
    await waitForSteps(['{"ai_assistant_id":4}']);
    await contains(".o-ai-ChannelSettings-assistant:enabled:value(4)");
    await click("input[name='ai_reply_mode'][value='always']:enabled");
    await waitForSteps(['{"ai_reply_mode":"always"}']);
    await contains("input[name='ai_reply_mode'][value='always']:checked");
});

test("what the server refuses is told, and not shown as chosen", async () => {
    refuse("discuss.channel", "write");
    await openSettings();
    await click("input[name='ai_reply_mode'][value='off']");
    await contains(".o-ai-ChannelSettings-problem:text('Not now.')");
    await contains("input[name='ai_reply_mode'][value='mention']:checked");
});

test("whoever may not change the conversation only looks", async () => {
    await openSettings({
        can_change: false,
        can_choose: false,
        tools: [tool(1, "Search products", { can_switch: false })],
    });
    await contains(".o-ai-ChannelSettings-name:text('Helper')");
    await contains(".o-ai-ChannelSettings-assistant", { count: 0 });
    await contains("fieldset:disabled input[name='ai_reply_mode']", { count: 3 });
    await contains(".o-ai-ToolSwitches-tool input:disabled");
});

test("managers get to what an assistant is set up with", async () => {
    mockService("action", {
        doAction(action) {
            if (action.res_model) {
                asyncStep(`${action.res_model} ${action.res_id}`);
            }
            return super.doAction(...arguments);
        },
    });
    await openSettings();
    await contains(".o-ai-ChannelSettings-assistant");
    await contains("button[aria-label='Set up this assistant']", { count: 0 });
    getService("mail.store").insert({ Store: { is_ai_manager: true } });
    await contains("button[aria-label='Set up this assistant']");
});

test("without an assistant it says how to get one", async () => {
    await openSettings({ assistant_id: false, tools: [] });
    await contains(".o-ai-ChannelSettings-noTools:contains('Choose one above')");
    expect(".o-ai-ChannelSettings-assistant").toHaveValue("");
});

test("what is to know of the last reply is told by its code, and once", async () => {
    await openSettings({
        notices: [
            { code: "round_limit", message: "The limit of 3 rounds is reached." },
            { code: "round_limit", message: "The limit of 3 rounds is reached." },
            { code: "server_unreachable", message: "The tools of Office tools cannot be used now." },
        ],
    });
    await contains(".o-ai-RunNotices:contains('About the last reply')");
    await contains(".o-ai-RunNotices:contains('as many steps as it may'):contains('cannot be used now')");
    expect(".o-ai-RunNotices:contains('3 rounds')").toHaveCount(0);
});

// -- tools

test("a tool is switched off and on for this conversation", async () => {
    onRpc("discuss.channel", "ai_switch_tool", ({ args: [, toolId, on] }) => {
        asyncStep(`${toolId} ${on}`);
        return true;
    });
    await openSettings();
    await contains(".o-ai-ToolSwitches-count:text('2 of 2 on')");
    await click(".o-ai-ToolSwitches-tool:contains('Search products') input");
    await waitForSteps(["1 false"]);
    await contains(".o-ai-ToolSwitches-count:text('1 of 2 on')");
    await click(".o-ai-ToolSwitches-tool:contains('Search products') input:enabled:not(:checked)");
    await waitForSteps(["1 true"]);
    await contains(".o-ai-ToolSwitches-tool input:checked", { count: 2 });
});

test("a tool that cannot be switched stays as it is", async () => {
    refuse("discuss.channel", "ai_switch_tool");
    await openSettings();
    await click(".o-ai-ToolSwitches-tool:contains('Search products') input");
    await contains(".o-ai-ToolSwitches .alert:text('Not now.')");
    await contains(".o-ai-ToolSwitches-tool input:checked", { count: 2 });
});

test("among many tools one is found by its name", async () => {
    const tools = Array.from({ length: 12 }, (_, index) => tool(index + 1, `Tool ${index + 1}`));
    await openSettings({ tools });
    await contains(".o-ai-ToolSwitches-server:not([open])");
    await insertText(".o-ai-ToolSwitches-search", "TOOL 12");
    await contains(".o-ai-ToolSwitches-server[open] .o-ai-ToolSwitches-tool", { count: 1 });
    await insertText(".o-ai-ToolSwitches-search", "3");
    await contains(".o-ai-ToolSwitches:contains('No tool is called like this.')");
});

test("a tool that runs unasked is made to ask again", async () => {
    const rule = { id: 8, is_current: true, mine: true, server: "Office tools", title: "Delete a note", user: "Ann" };
    const settings = await openSettings({
        allowed: [rule, { ...rule, id: 7, is_current: false, mine: false, title: "Burn", user: "Bob" }],
    });
    onRpc("ai.approval.rule", "unlink", ({ args: [ids] }) => {
        asyncStep(`revoke ${ids}`);
        settings.allowed = [];
        return true;
    });
    await contains(".o-ai-AllowedTools-for:text('for what you ask')");
    await contains(".o-ai-AllowedTools-for:text('for what Bob asks; asks again, for it has changed since')");
    await click("button[aria-label='Have Delete a note ask again']");
    await waitForSteps(["revoke 8"]);
    await contains(".o-ai-AllowedTools", { count: 0 });
});

// -- personal servers

test("a server is added: saved, connected and used here", async () => {
    const settings = await openSettings();
    onRpc("mcp.server", "create", ({ args: [[values]] }) => {
        asyncStep(`create ${JSON.stringify(values)}`);
        return [SERVER.id];
    });
    onRpc("mcp.server", "action_sync_tools", ({ args: [ids] }) => {
        asyncStep(`synchronise ${ids}`);
        return { params: { message: "Synchronised. Tools on offer: 2.", type: "success" } };
    });
    onRpc("discuss.channel", "ai_attach_server", ({ args: [, serverId] }) => {
        asyncStep(`attach ${serverId}`);
        settings.servers = [{ ...SERVER, attached: true }];
        return [];
    });
    await click(".o-ai-PersonalServers-add");
    await contains(".o-ai-PersonalServerForm input[name='name']:focus");
    await insertText("input[name='name']", "My calendar");
    await insertText("input[name='url']", SERVER.url);
    await select("bearer", { target: "select[name='auth_type']" });
    await insertText("input[name='token']", "sk-mine");
    await click(".o-ai-PersonalServerForm button[type='submit']");
    await waitForSteps([
        `create ${JSON.stringify({
            auth_type: "bearer",
            name: "My calendar",
            url: SERVER.url,
            token: "sk-mine",
            scope: "user",
            transport: "streamable_http",
        })}`,
        "synchronise 9",
        "attach 9",
    ]);
    await contains(".o-ai-PersonalServer-use:checked");
    await contains(".o-ai-PersonalServer-state:text('Connected, 2 tools')");
    await contains(".o-ai-PersonalServerForm", { count: 0 });
    await contains(".o-ai-PersonalServers-add:focus");
    await contains(".o_notification:contains('Tools on offer: 2.')");
});

test("a server that cannot be used stays in the form, to be corrected", async () => {
    let message = "The connection was refused.";
    const settings = await openSettings();
    onRpc("mcp.server", "create", () => {
        asyncStep("create");
        settings.servers = [{ ...SERVER, state: "error", state_message: message }];
        return [SERVER.id];
    });
    onRpc("mcp.server", "write", ({ args: [ids, values] }) => {
        asyncStep(`write ${ids} ${values.url}`);
        message = "";
        return true;
    });
    onRpc("mcp.server", "action_sync_tools", () => ({
        params: { message, type: message ? "danger" : "success" },
    }));
    onRpc("discuss.channel", "ai_attach_server", () => {
        asyncStep("attach");
        return [];
    });
    await click(".o-ai-PersonalServers-add");
    await insertText("input[name='name']", "My calendar");
    await insertText("input[name='url']", "https://wrong.example.com/mcp");
    await click(".o-ai-PersonalServerForm button[type='submit']");
    await waitForSteps(["create"]);
    await contains(".o-ai-PersonalServerForm-problem[role='alert']:text('The connection was refused.')");
    await contains(".o-ai-PersonalServer", { count: 0 });
    await insertText("input[name='url']", SERVER.url, { replace: true });
    await click(".o-ai-PersonalServerForm button[type='submit']");
    await waitForSteps([`write 9 ${SERVER.url}`, "attach"]);
    await contains(".o-ai-PersonalServer");
});

test("a server that was added only to be tried goes when its form is given up", async () => {
    const settings = await openSettings();
    onRpc("mcp.server", "create", () => {
        settings.servers = [{ ...SERVER, state: "error" }];
        return [SERVER.id];
    });
    onRpc("mcp.server", "action_sync_tools", () => ({
        params: { message: "The connection was refused.", type: "danger" },
    }));
    onRpc("mcp.server", "unlink", ({ args: [ids] }) => {
        asyncStep(`unlink ${ids}`);
        settings.servers = [];
        return true;
    });
    await click(".o-ai-PersonalServers-add");
    await insertText("input[name='name']", "My calendar");
    await insertText("input[name='url']", SERVER.url);
    await click(".o-ai-PersonalServerForm button[type='submit']");
    await contains(".o-ai-PersonalServerForm-problem");
    await click(".o-ai-PersonalServerForm button[name='cancel']");
    await waitForSteps(["unlink 9"]);
    await contains(".o-ai-PersonalServers-add:focus");
    await contains(".o-ai-PersonalServer", { count: 0 });
});

test("an address that the server refuses is told in the form", async () => {
    refuse("mcp.server", "create");
    await openSettings();
    await click(".o-ai-PersonalServers-add");
    await insertText("input[name='name']", "My calendar");
    await insertText("input[name='url']", "http://localhost/mcp");
    await click(".o-ai-PersonalServerForm button[type='submit']");
    await contains(".o-ai-PersonalServerForm-problem:text('Not now.')");
    await press("Escape");
    await contains(".o-ai-PersonalServerForm", { count: 0 });
    await contains(".o-ai-ChannelSettings");
});

test("a server is used here, shared after a warning, and taken away again", async () => {
    const settings = await openSettings({ servers: [SERVER] });
    onRpc("discuss.channel", "ai_attach_server", ({ args: [, serverId, shared] }) => {
        asyncStep(`attach ${serverId} ${shared}`);
        settings.servers = [{ ...SERVER, attached: true, shared }];
        return [];
    });
    onRpc("discuss.channel", "ai_detach_server", ({ args: [, serverId] }) => {
        asyncStep(`detach ${serverId}`);
        settings.servers = [SERVER];
        return [];
    });
    await click(".o-ai-PersonalServer-use");
    await waitForSteps(["attach 9 false"]);
    await click(".o-ai-PersonalServer-share:enabled");
    await click(".modal:contains('as you, with the credentials that you stored') button:text('Cancel')");
    await contains(".modal", { count: 0 });
    await click(".o-ai-PersonalServer-share:enabled:not(:checked)");
    await click(".modal button:text('Share')");
    await waitForSteps(["attach 9 true"]);
    await contains(".o-ai-PersonalServer-share:enabled:checked");
    await click(".o-ai-PersonalServer-use:enabled:checked");
    await waitForSteps(["detach 9"]);
    await contains(".o-ai-PersonalServer-share", { count: 0 });
});

test("what could not be attached is not shown as attached", async () => {
    refuse("discuss.channel", "ai_attach_server");
    await openSettings({ servers: [SERVER] });
    await click(".o-ai-PersonalServer-use");
    await contains(".o-ai-PersonalServer-problem:text('Not now.')");
    await contains(".o-ai-PersonalServer-use:enabled:not(:checked)");
});

test("testing and synchronising show that they take time, and what came of it", async () => {
    const answer = new Deferred();
    onRpc("mcp.server", "action_test_connection", () => answer);
    onRpc("mcp.server", "action_sync_tools", () => ({
        params: { message: "The server did not answer.", type: "danger" },
    }));
    await openSettings({ servers: [SERVER] });
    await click(".o-ai-PersonalServer button[name='test']");
    await contains(".o-ai-PersonalServer[aria-busy='true'] button[name='test']:disabled .fa-spin");
    answer.resolve({ params: { message: "Connected. Tools on offer: 2.", type: "success" } });
    await contains(".o-ai-PersonalServer-result[role='status']:contains('Tools on offer: 2.')");
    await click(".o-ai-PersonalServer button[name='synchronise']:enabled");
    await contains(".o-ai-PersonalServer-problem[role='alert']:text('The server did not answer.')");
    await contains(".o-ai-PersonalServer-result", { count: 0 });
});

test("editing keeps the stored token, unless it is for another address", async () => {
    onRpc("mcp.server", "write", ({ args: [, values] }) => {
        asyncStep(Object.keys(values).sort().join());
        return true;
    });
    onRpc("mcp.server", "action_sync_tools", () => ({ params: { message: "Well.", type: "success" } }));
    await openSettings({ servers: [SERVER] });
    await click(".o-ai-PersonalServer button[name='edit']");
    await contains("button[name='edit'][aria-expanded='true']");
    await contains("input[name='token'][placeholder*='A token is stored']:not([required])");
    await insertText("input[name='url']", "https://new.example.com/mcp", { replace: true });
    await contains("input[name='token'][required][placeholder='Paste the token']");
    await insertText("input[name='url']", SERVER.url, { replace: true });
    await click(".o-ai-PersonalServerForm button[type='submit']");
    await waitForSteps(["auth_type,name,url"]);
    await contains(".o-ai-PersonalServerForm", { count: 0 });
    await contains("button[name='edit']:focus");
});

test("a server is deleted after a question", async () => {
    const settings = await openSettings({ servers: [SERVER] });
    onRpc("mcp.server", "unlink", ({ args: [ids] }) => {
        asyncStep(`delete ${ids}`);
        settings.servers = [];
        return true;
    });
    await click(".o-ai-PersonalServer button[name='delete']");
    await contains(".modal:contains('cannot be undone')");
    await click(".modal button.btn-danger:text('Delete')");
    await waitForSteps(["delete 9"]);
    await contains(".o-ai-PersonalServer", { count: 0 });
});

test("of servers that others share, only the name and the owner are shown", async () => {
    await openSettings({ servers: [{ id: 6, mine: false, name: "Tools of Bob", owner: "Bob" }] });
    await contains(".o-ai-PersonalServers-shared:contains('Tools of Bob'):contains('Shared by Bob')");
    await contains(".o-ai-PersonalServer", { count: 0 });
});

test("in a channel that one has not joined, own servers cannot be used", async () => {
    await openSettings({ is_member: false, servers: [SERVER] });
    await contains(".o-ai-PersonalServer-name");
    await contains(".o-ai-PersonalServer-use", { count: 0 });
});
