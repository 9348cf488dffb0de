import {
    click,
    contains,
    defineMailModels,
    inputFiles,
    openDiscuss,
    openFormView,
    start,
    startServer,
} from "@mail/../tests/mail_test_helpers";
import { describe, expect, test } from "@odoo/hoot";
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

/** Start as a person with assistants of these names, and with a conversation with the first of them. */
async function startWith(...names) {
    const pyEnv = await startServer();
    const partnerIds = names.map((name) => pyEnv["res.partner"].create({ name }));
    const recordId = pyEnv["res.partner"].create({ name: "Azure Interior" });
    const channelId = pyEnv["discuss.channel"].create({
        channel_member_ids: [
            Command.create({ partner_id: serverState.partnerId }),
            Command.create({ partner_id: partnerIds[0] ?? recordId }),
        ],
        channel_type: "group",
        name: "New chat",
    });
    await start();
    // The mock server knows nothing of assistants; the real one sends the same.
    const store = getService("mail.store");
    store.insert({
        Store: { aiAssistants: partnerIds },
        "res.partner": partnerIds.map((id, index) => ({
            ai_assistant_id: index + 1,
            id,
            is_ai_assistant: true,
            name: names[index],
        })),
    });
    return { channelId, partnerId: partnerIds[0], recordId, store };
}

/** The same, in the conversation, which is about `record`. */
async function openConversation(record) {
    const world = await startWith("Helper");
    const { channelId, partnerId, recordId, store } = world;
    await openDiscuss(channelId);
    await contains(".o-mail-Composer-input");
    store.insert({
        "discuss.channel": [
            {
                ai_assistant_partner_id: partnerId,
                ai_record: record ?? { model: "res.partner", id: recordId },
                has_ai_assistant: true,
                id: channelId,
            },
        ],
    });
    return world;
}

test("where there is one assistant, the button asks it about the record", async () => {
    const { channelId, recordId } = await startWith("Helper");
    onRpc("ai.assistant", "open_chat_about", ({ args }) => {
        asyncStep(args);
        return channelId;
    });
    await openFormView("res.partner", recordId);
    await click("button.o-ai-AskAi:text('Ask AI')");
    await contains(".o-mail-ChatWindow:text('New chat')");
    await waitForSteps([[[1], "res.partner", recordId]]);
});

test("where there are several assistants, the person chooses one", async () => {
    const { channelId, recordId } = await startWith("Helper", "Writer");
    onRpc("ai.assistant", "open_chat_about", ({ args }) => {
        asyncStep(args[0]);
        return channelId;
    });
    await openFormView("res.partner", recordId);
    await contains(".o-mail-Followers-counter"); // all is loaded
    await click("button.o-ai-AskAi:enabled");
    await contains(".o-ai-AskAi-assistant", { count: 2 });
    await click(".o-ai-AskAi-assistant", { text: "Writer" });
    await contains(".o-mail-ChatWindow");
    await waitForSteps([[2]]);
});

test("where there is no assistant, there is no button", async () => {
    const { recordId } = await startWith();
    await openFormView("res.partner", recordId);
    await contains(".o-mail-Chatter-sendMessage");
    await contains(".o-ai-AskAi", { count: 0 });
});

test("the record that is asked about stands at the composer, and leads back to it", async () => {
    mockService("action", {
        doAction(action) {
            if (action.res_model) {
                asyncStep([action.res_model, action.res_id]);
                return;
            }
            return super.doAction(...arguments);
        },
    });
    const { recordId } = await openConversation();
    await click(".o-ai-AskedRecord-open:text('Azure Interior')");
    await waitForSteps([["res.partner", recordId]]);
});

test("a record that the person cannot read is not named, and cannot be opened", async () => {
    await openConversation({ model: "res.partner", id: 987654 });
    await contains(".o-ai-AskedRecord-open:disabled:text('A record that you cannot read any more')");
});

test("who takes the record away asks about it no more, and goes on writing", async () => {
    const { channelId } = await openConversation();
    onRpc("discuss.channel", "ai_forget_record", ({ args }) => {
        asyncStep(args);
        return true;
    });
    await click(".o-ai-AskedRecord-remove[aria-label='Stop asking about Azure Interior']");
    await contains(".o-ai-AskedRecord", { count: 0 });
    await contains(".o-mail-Composer-input:focus");
    await waitForSteps([[[channelId]]]);
});

test("before a question is sent, it is said which of its files an assistant cannot read", async () => {
    await openConversation();
    await inputFiles(".o-mail-Composer .o_input_file", [
        new File(["a;b"], "prices.csv", { type: "text/csv" }),
        new File(["PK"], "plan.docx", {
            type: "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        }),
        new File(["RIFF"], "talk.wav", { type: "audio/wav" }),
    ]);
    await contains(".o-ai-Composer-unreadable:text('The assistant cannot read: plan.docx, talk.wav')");
});

test("what an assistant surely cannot read is known by its type and size", async () => {
    await startWith("Helper");
    const attachments = getService("mail.store")["ir.attachment"];
    const unreadable = (mimetype, file_size = 1) =>
        attachments.insert({ id: 1, mimetype, file_size }).isUnreadableForAi;
    for (const mimetype of ["text/plain", "application/pdf", "application/json", "image/jpeg", "image/svg+xml"]) {
        expect(unreadable(mimetype)).toBe(false);
    }
    for (const mimetype of ["video/mp4", "image/heic", "application/zip", "application/vnd.ms-excel"]) {
        expect(unreadable(mimetype)).toBe(true);
    }
    expect(unreadable("text/plain", 11 * 1024 * 1024)).toBe(true);
});
