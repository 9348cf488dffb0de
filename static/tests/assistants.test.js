import {
    click,
    contains,
    defineMailModels,
    insertText,
    openDiscuss,
    patchUiSize,
    SIZES,
    start,
    startServer,
    triggerHotkey,
} from "@mail/../tests/mail_test_helpers";
import { describe, test } from "@odoo/hoot";
import { press } from "@odoo/hoot-dom";
import {
    asyncStep,
    Command,
    getService,
    mockService,
    onRpc,
    serverState,
    waitForSteps,
} from "@web/../tests/web_test_helpers";

describe.current.tags("desktop");
defineMailModels();

/**
 * Start Discuss for a person with these assistants, who chats with the first one if `chats` say so.
 *
 * @param {Object} [options]
 * @param {Object[]} [options.assistants] what is told of each; the names are Helper, Writer
 * @param {Object[]} [options.chats] conversations with the first assistant
 * @param {boolean} [options.isManager]
 */
async function startWith({ assistants = [{}], chats = [], isManager = false } = {}) {
    const pyEnv = await startServer();
    const names = ["Helper", "Writer"];
    const partnerIds = assistants.map((_, index) => pyEnv["res.partner"].create({ name: names[index] }));
    const channelIds = chats.map((chat) =>
        pyEnv["discuss.channel"].create({
            channel_member_ids: [
                Command.create({ partner_id: serverState.partnerId }),
                Command.create({ partner_id: partnerIds[0] }),
            ],
            channel_type: "group",
            ...chat,
        })
    );
    await start();
    const store = getService("mail.store");
    store.insert({
        // The mock server knows nothing of assistants; the real one sends the same.
        Store: { aiAssistants: partnerIds, is_ai_manager: isManager },
        "res.partner": assistants.map((assistant, index) => ({
            ai_assistant_id: index + 1,
            ai_description: `${names[index]} helps`,
            ai_prompts: [],
            id: partnerIds[index],
            is_ai_assistant: true,
            name: names[index],
            ...assistant,
        })),
        "res.users": [{ id: serverState.userId, partner_id: serverState.partnerId }],
    });
    for (const channelId of channelIds) {
        await store.fetchChannel(channelId);
        makeAiChat(channelId, partnerIds[0]);
    }
    return { channelIds, partnerIds, pyEnv };
}

/** Tell the client that a conversation has an assistant, as the real server does. */
function makeAiChat(channelId, partnerId, values = {}) {
    getService("mail.store").insert({
        "discuss.channel": [
            {
                ai_assistant_partner_id: partnerId,
                has_ai_assistant: true,
                id: channelId,
                ...values,
            },
        ],
    });
}

/** Answer `open_chat` with a new conversation, and take down which assistant it was asked of. */
function answerNewChats({ partnerIds, pyEnv }) {
    onRpc("ai.assistant", "open_chat", ({ args, kwargs }) => {
        const [id] = args[0];
        asyncStep(`open_chat ${id} ${kwargs.new}`);
        return pyEnv["discuss.channel"].create({
            channel_member_ids: [
                Command.create({ partner_id: serverState.partnerId }),
                Command.create({ partner_id: partnerIds[id - 1] }),
            ],
            channel_type: "group",
            name: `Fresh ${id}`,
        });
    });
}

const CATEGORY = ".o-mail-DiscussSidebarCategory-aiAssistants";

describe("side bar", () => {
    test("conversations with an assistant are in a category of their own", async () => {
        const { channelIds, pyEnv } = await startWith({ chats: [{ name: "Desks" }] });
        pyEnv["discuss.channel"].create({ name: "Colleagues", channel_type: "group" });
        await openDiscuss(channelIds[0]);
        await contains(`${CATEGORY} .o-mail-DiscussSidebarCategory-title:text('Assistants')`);
        await contains(".o-mail-DiscussSidebarChannel", {
            after: [CATEGORY],
            before: [".o-mail-DiscussSidebarCategory-chat"],
            text: "Desks",
        });
        await contains(".o-mail-DiscussSidebarChannel", {
            after: [".o-mail-DiscussSidebarCategory-chat"],
            text: "Colleagues",
        });
    });

    test("they wear the assistant's face", async () => {
        const { channelIds, partnerIds } = await startWith({ chats: [{ name: "Desks" }] });
        await openDiscuss(channelIds[0]);
        await contains(
            `.o-mail-DiscussSidebarChannel img[data-src*='/res.partner/${partnerIds[0]}/avatar_128']`
        );
    });

    test("a channel stays among the channels, though only an assistant has joined it", async () => {
        const { channelIds } = await startWith({ chats: [{ channel_type: "channel", name: "Sales" }] });
        await openDiscuss(channelIds[0]);
        await contains(".o-mail-DiscussSidebarChannel", { before: [CATEGORY], text: "Sales" });
        await contains(".o-ai-Welcome", { count: 0 });
    });

    test("once a colleague joins it is a chat among others", async () => {
        const { channelIds, pyEnv } = await startWith({ chats: [{ name: "Desks" }] });
        const [channelId] = channelIds;
        await openDiscuss(channelId);
        await contains(".o-mail-DiscussSidebarChannel", {
            before: [".o-mail-DiscussSidebarCategory-chat"],
            text: "Desks",
        });
        const bobId = pyEnv["res.partner"].create({ name: "Bob" });
        pyEnv["discuss.channel.member"].create({ channel_id: channelId, partner_id: bobId });
        getService("mail.store").insert({ "discuss.channel": [{ id: channelId, member_count: 3 }] });
        await contains(".o-mail-DiscussSidebarChannel", {
            after: [".o-mail-DiscussSidebarCategory-chat"],
            text: "Desks",
        });
    });

    test("one sees where an assistant is at work, and not where it waits for a person", async () => {
        const { channelIds } = await startWith({ chats: [{ name: "Desks" }] });
        const run = (state) => ({
            "ai.run": [{ channel_id: { id: channelIds[0], model: "discuss.channel" }, id: 7, state }],
        });
        await openDiscuss(channelIds[0]);
        getService("mail.store").insert(run("running"));
        await contains(".o-ai-SidebarActivity");
        getService("mail.store").insert(run("waiting"));
        await contains(".o-ai-SidebarActivity", { count: 0 });
    });

    test("who has one assistant begins a new chat with one click", async () => {
        const world = await startWith();
        answerNewChats(world);
        await openDiscuss();
        await click(`${CATEGORY} .o-ai-NewChat`);
        await waitForSteps(["open_chat 1 true"]);
        await contains(".o-mail-DiscussContent-threadName[title='Fresh 1']");
    });

    test("who has several chooses among them, by name", async () => {
        const world = await startWith({ assistants: [{}, {}] });
        answerNewChats(world);
        await openDiscuss();
        await click(`${CATEGORY} .o-ai-NewChat`);
        await contains(".o-ai-AssistantCommand", { count: 2 });
        await contains(".o-ai-AssistantCommand:contains('Writer helps')");
        await insertText(".o_command_palette_search input", "wri");
        await contains(".o-ai-AssistantCommand", { count: 1 });
        await press("Enter");
        await waitForSteps(["open_chat 2 true"]);
    });

    test("a chat in which nothing was said yet is used again", async () => {
        const world = await startWith({ chats: [{ name: "Fresh" }] });
        answerNewChats(world);
        const [channelId] = world.channelIds;
        makeAiChat(channelId, world.partnerIds[0], { ai_auto_name: true });
        await openDiscuss();
        await click(`${CATEGORY} .o-ai-NewChat`);
        await contains(".o-mail-DiscussContent-threadName[title='Fresh']");
        makeAiChat(channelId, world.partnerIds[0], { ai_auto_name: false });
        await click(`${CATEGORY} .o-ai-NewChat`);
        await waitForSteps(["open_chat 1 true"]);
    });

    test("where there is no conversation yet, one is invited to begin", async () => {
        const world = await startWith();
        answerNewChats(world);
        await openDiscuss();
        await click(".o-ai-SidebarInvitation button:contains('Ask an assistant')");
        await waitForSteps(["open_chat 1 true"]);
        await contains(".o-mail-DiscussContent-threadName[title='Fresh 1']");
        makeAiChat(getService("mail.store").discuss.thread.id, world.partnerIds[0]);
        await contains(".o-ai-SidebarInvitation", { count: 0 });
    });

    test("without any assistant people see nothing of it", async () => {
        await startWith({ assistants: [] });
        await openDiscuss();
        await contains(".o-mail-DiscussSidebarCategory-chat");
        await contains(CATEGORY, { count: 0 });
    });

    test("without any assistant managers are led to where they are set up", async () => {
        mockService("action", {
            doAction(action) {
                if (action === "ai_discuss.ai_assistant_action") {
                    asyncStep(action);
                    return;
                }
                return super.doAction(...arguments);
            },
        });
        await startWith({ assistants: [], isManager: true });
        await openDiscuss();
        await click(".o-ai-SidebarInvitation button:contains('Set up an assistant')");
        await waitForSteps(["ai_discuss.ai_assistant_action"]);
        await contains(`${CATEGORY} .o-ai-NewChat`, { count: 0 });
    });
});

describe("command palette", () => {
    test("a new chat with each assistant is a command", async () => {
        const world = await startWith({ assistants: [{}, {}] });
        answerNewChats(world);
        triggerHotkey("control+k");
        await insertText(".o_command_palette_search input", "new chat wri");
        await click(".o_command:contains('New chat with Writer')");
        await waitForSteps(["open_chat 2 true"]);
    });

    test("assistants are found among the conversations, before anybody has talked to them", async () => {
        await startWith();
        triggerHotkey("control+k");
        await insertText(".o_command_palette_search input", "@hel");
        await contains(".o_command_category:contains('Assistants') .o-mail-DiscussCommand:contains('Helper')");
    });

    test("a new chat is offered there as well, with a choice where there are several", async () => {
        const world = await startWith({ assistants: [{}, {}] });
        answerNewChats(world);
        triggerHotkey("control+k");
        await insertText(".o_command_palette_search input", "@");
        await click(".o_command:contains('New Chat with an Assistant')");
        await click(".o_command:has(.o-ai-AssistantCommand):contains('Helper')");
        await waitForSteps(["open_chat 1 true"]);
    });
});

describe("messaging menu", () => {
    test("assistants have a tab of their own, with a new chat, and chats are those with people", async () => {
        const world = await startWith({ chats: [{ name: "Desks" }] });
        answerNewChats(world);
        world.pyEnv["discuss.channel"].create({ name: "Colleagues", channel_type: "group" });
        await click(".o_menu_systray i[aria-label='Messages']");
        await click(".o-mail-MessagingMenu-headerFilter:text('Chats')");
        await contains(".o-mail-NotificationItem:contains('Colleagues')");
        await contains(".o-mail-NotificationItem:contains('Desks')", { count: 0 });
        await click(".o-mail-MessagingMenu-headerFilter:text('Assistants')");
        await contains(".o-mail-NotificationItem:contains('Desks')");
        await contains(".o-mail-NotificationItem:contains('Colleagues')", { count: 0 });
        await click(".o-mail-NotificationItem:contains('New chat')");
        await waitForSteps(["open_chat 1 true"]);
        await contains(".o-mail-ChatWindow-header:contains('Fresh 1')");
    });

    test("the words of a reply don't run into each other on its one line", async () => {
        const { channelIds, partnerIds, pyEnv } = await startWith({ chats: [{ name: "Desks" }] });
        pyEnv["mail.message"].create({
            author_id: partnerIds[0],
            body: "<p>Two desks:</p>\n<table><tr><td>Nordic</td><td>289</td></tr></table>",
            message_type: "comment",
            model: "discuss.channel",
            res_id: channelIds[0],
        });
        await click(".o_menu_systray i[aria-label='Messages']");
        await contains(".o-mail-NotificationItem:contains('Two desks: Nordic 289')");
    });

    test("there is no such tab without assistants", async () => {
        await startWith({ assistants: [] });
        await click(".o_menu_systray i[aria-label='Messages']");
        await contains(".o-mail-MessagingMenu-headerFilter:text('Chats')");
        await contains(".o-mail-MessagingMenu-headerFilter:text('Assistants')", { count: 0 });
    });

    test("a phone has the tab at its foot", async () => {
        patchUiSize({ size: SIZES.SM });
        await startWith({ chats: [{ name: "Desks" }] });
        await openDiscuss();
        await click(".o-mail-MessagingMenu-tab:contains('Assistants')");
        await contains(".o-mail-NotificationItem:contains('Desks')");
        await contains(".o-mail-NotificationItem:contains('New chat')");
    });
});

describe("mentions and commands", () => {
    test("an assistant can be mentioned in a group of which it is no member", async () => {
        const { pyEnv } = await startWith();
        const channelId = pyEnv["discuss.channel"].create({ name: "Team", channel_type: "group" });
        await openDiscuss(channelId);
        await insertText(".o-mail-Composer-input", "@Hel");
        await contains(".o-mail-Composer-suggestion:contains('Helper')");
    });

    test("/tools asks the server", async () => {
        onRpc("discuss.channel", "execute_command_ai_tools", ({ args }) => {
            asyncStep(`tools of ${args[0].length} channel`);
            return true;
        });
        const { channelIds } = await startWith({ chats: [{ name: "Desks" }] });
        await openDiscuss(channelIds[0]);
        await insertText(".o-mail-Composer-input", "/tools ");
        await press("Enter");
        await waitForSteps(["tools of 1 channel"]);
    });

    test("/new opens a fresh chat with the same assistant and asks there what stands behind it", async () => {
        const world = await startWith({ chats: [{ name: "Desks" }] });
        answerNewChats(world);
        world.pyEnv["mail.message"].create({
            author_id: serverState.partnerId,
            body: "<p>Before</p>",
            message_type: "comment",
            model: "discuss.channel",
            res_id: world.channelIds[0],
        });
        await openDiscuss(world.channelIds[0]);
        await contains(".o-mail-Message:contains('Before')");
        await insertText(".o-mail-Composer-input", "/new Which chairs?");
        await press("Enter");
        await waitForSteps(["open_chat 1 true"]);
        await contains(".o-mail-DiscussContent-threadName[title='Fresh 1']");
        await contains(".o-mail-Message:contains('Which chairs?')");
        await contains(".o-mail-Message:contains('Before')", { count: 0 });
    });

    test("among people there is neither", async () => {
        const { pyEnv } = await startWith();
        const channelId = pyEnv["discuss.channel"].create({ name: "Team", channel_type: "group" });
        await openDiscuss(channelId);
        await insertText(".o-mail-Composer-input", "/");
        await contains(".o-mail-NavigableList-item:contains('help')");
        await contains(".o-mail-NavigableList-item:contains('tools')", { count: 0 });
        await contains(".o-mail-NavigableList-item:contains('fresh')", { count: 0 });
    });
});

describe("welcome", () => {
    const PROMPTS = ["Which desks do we have?", "Translate into French: …"];

    test("an empty conversation says who the assistant is and what one could ask", async () => {
        const { channelIds } = await startWith({
            assistants: [{ ai_prompts: PROMPTS }],
            chats: [{ name: "Fresh" }],
        });
        await openDiscuss(channelIds[0]);
        await contains(".o-ai-Welcome [role='heading']:text('Helper')");
        await contains(".o-ai-Welcome-description:text('Helper helps')");
        await contains(".o-ai-Welcome-prompt", { count: 2 });
    });

    test("a suggestion is sent with a click, and then there are none", async () => {
        const { channelIds } = await startWith({
            assistants: [{ ai_prompts: PROMPTS }],
            chats: [{ name: "Fresh" }],
        });
        await openDiscuss(channelIds[0]);
        await click(".o-ai-Welcome-prompt:text('Which desks do we have?')");
        await contains(".o-mail-Message:contains('Which desks do we have?')", { count: 1 });
        await contains(".o-ai-Welcome-prompt", { count: 0 });
        await contains(".o-ai-Welcome [role='heading']:text('Helper')");
        await contains(".o-mail-Composer-input:focus"); // else the answer would count as unread
    });

    test("one that has to be completed goes into the composer", async () => {
        const { channelIds } = await startWith({
            assistants: [{ ai_prompts: PROMPTS }],
            chats: [{ name: "Fresh" }],
        });
        await openDiscuss(channelIds[0]);
        await click(".o-ai-Welcome-prompt:text('Translate into French: …')");
        await contains(".o-mail-Composer-input:focus:value('Translate into French: ')");
        await contains(".o-mail-Message", { count: 0 });
    });

    test("an assistant that is not the person's any more says so and suggests nothing", async () => {
        const { channelIds } = await startWith({
            assistants: [{ ai_prompts: PROMPTS }],
            chats: [{ name: "Fresh" }],
        });
        getService("mail.store").insert({ Store: { aiAssistants: [] } });
        await openDiscuss(channelIds[0]);
        await contains(".o-ai-Welcome-unavailable");
        await contains(".o-ai-Welcome-prompt", { count: 0 });
    });

    test("a conversation among people begins as ever", async () => {
        const { pyEnv } = await startWith();
        const channelId = pyEnv["discuss.channel"].create({ name: "Team", channel_type: "group" });
        await openDiscuss(channelId);
        await contains(".o-mail-Thread [role='heading']:text('Team')");
        await contains(".o-ai-Welcome", { count: 0 });
    });
});
