import {
    click,
    contains,
    defineMailModels,
    openDiscuss,
    start,
    startServer,
} from "@mail/../tests/mail_test_helpers";
import { describe, expect, test } from "@odoo/hoot";
import {
    asyncStep,
    Command,
    getService,
    onRpc,
    patchWithCleanup,
    serverState,
    waitForSteps,
} from "@web/../tests/web_test_helpers";

describe.current.tags("desktop");
defineMailModels();

const RUN = 7;
const SAID = "The model provider at llm.example:8000 cannot be reached. Check that it is running.";

/**
 * Open a chat in which an assistant's reply has failed.
 *
 * @param {Object} [options]
 * @param {boolean} [options.isManager]
 * @param {boolean} [options.isMine]
 * @param {string} [options.said] what was said before the failure
 * @param {Object} [options.run]
 */
async function openFailure({ isManager = false, isMine = true, said = "", run = {} } = {}) {
    const pyEnv = await startServer();
    const partnerId = pyEnv["res.partner"].create({ name: "Helper" });
    const bobPartnerId = pyEnv["res.partner"].create({ name: "Bob" });
    const bobId = pyEnv["res.users"].create({ partner_id: bobPartnerId });
    const channelId = pyEnv["discuss.channel"].create({
        channel_member_ids: [
            Command.create({ partner_id: serverState.partnerId }),
            Command.create({ partner_id: partnerId }),
        ],
        channel_type: "chat",
    });
    const messageId = pyEnv["mail.message"].create({
        author_id: partnerId,
        body: `${said}<p class="o_ai_error text-danger">${SAID}</p>`,
        message_type: "comment",
        model: "discuss.channel",
        res_id: channelId,
    });
    await start();
    // The mock server's messages don't know of runs; the real ones send the same.
    getService("mail.store").insert({
        Store: { is_ai_manager: isManager },
        "ai.run": [
            {
                channel_id: { id: channelId, model: "discuss.channel" },
                error_code: "model_unreachable",
                error_message: SAID,
                id: RUN,
                message_id: messageId,
                state: "error",
                user_id: isMine ? serverState.userId : bobId,
                ...run,
            },
        ],
        "res.partner": [{ id: partnerId, is_ai_assistant: true }],
        "res.users": [
            { id: bobId, partner_id: bobPartnerId },
            { id: serverState.userId, partner_id: serverState.partnerId },
        ],
    });
    await openDiscuss(channelId);
    await contains(".o-ai-RunError");
}

test("a failure is one sentence in a box; the server's words are folded behind it", async () => {
    await openFailure();
    await contains(".o-ai-RunError.alert-danger .o-ai-RunError-text:contains('cannot be reached')");
    await contains(".o-ai-RunError-details:not([open])");
    await click(".o-ai-RunError-details summary");
    await contains(".o-ai-RunError-details[open] p:contains('llm.example:8000')");
});

test("where nothing was said before it, there is no empty bubble", async () => {
    await openFailure();
    await contains(".o-mail-Message-bubble", { count: 0 });
    await contains(".o-mail-Message:contains('This message has been removed')", { count: 0 });
});

test("what was said before it stays, and its own words are not shown twice", async () => {
    await openFailure({ said: "<p>Half an answer</p>" });
    await contains(".o-mail-Message-richBody p:text('Half an answer')");
    expect(".o-mail-Message-richBody .o_ai_error").not.toBeVisible();
});

test("the person who asked can try again", async () => {
    onRpc("ai.run", "regenerate", ({ args }) => {
        asyncStep(`regenerate ${args[0]}`);
        return RUN + 1;
    });
    await openFailure();
    await click(".o-ai-RunError-retry");
    await waitForSteps([`regenerate ${RUN}`]);
    await contains(".o-ai-RunError-retry:enabled");
});

test("what was begun can be continued", async () => {
    onRpc("ai.run", "continue_reply", ({ args }) => {
        asyncStep(`continue ${args[0]}`);
        return RUN + 1;
    });
    await openFailure({ said: "<p>Half</p>", run: { is_incomplete: true } });
    await click(".o-ai-RunError-continue");
    await waitForSteps([`continue ${RUN}`]);
});

test("others read what happened, and have nothing to click", async () => {
    await openFailure({ isMine: false });
    await contains(".o-ai-RunError-text");
    await contains(".o-ai-RunError button", { count: 0 });
});

test("a manager gets to the settings that the failure is about", async () => {
    onRpc("ai.run", "action_view_settings", () => ({ res_model: "ai.provider", res_id: 3 }));
    await openFailure({ isManager: true, run: { error_code: "model_auth" } });
    patchWithCleanup(getService("action"), {
        doAction: (action) => asyncStep(`open ${action.res_model} ${action.res_id}`),
    });
    await click(".o-ai-RunError-settings:text('Open the provider')");
    await waitForSteps(["open ai.provider 3"]);
    await contains(".o-ai-RunError-text:contains('A manager')", { count: 0 });
});

test("who is no manager is told that one has to look at what trying again cannot mend", async () => {
    await openFailure({ run: { error_code: "model_auth" } });
    await contains(".o-ai-RunError-text:contains('A manager of assistants has to look at it.')");
    await contains(".o-ai-RunError-settings", { count: 0 });
});

test("a budget that is used up says in the server's words when it begins anew", async () => {
    const text = "The budget “Fair share” is used up: 1 reply a day. It starts anew on 1/2/26, 1:00 AM.";
    await openFailure({ run: { error_code: "rate_limited", error_message: text } });
    await contains(`.o-ai-RunError.alert-warning .o-ai-RunError-text:text('${text}')`);
    await contains(".o-ai-RunError-details", { count: 0 });
});

test("an error that the client has never heard of is told as well", async () => {
    await openFailure({ run: { error_code: "of_next_year" } });
    await contains(".o-ai-RunError-text:contains('Something went wrong')");
});
