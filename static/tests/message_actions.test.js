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
import { hover, press, queryFirst } from "@odoo/hoot-dom";
import { animationFrame } from "@odoo/hoot-mock";
import {
    asyncStep,
    Command,
    getService,
    makeServerError,
    onRpc,
    patchWithCleanup,
    serverState,
    waitForSteps,
} from "@web/../tests/web_test_helpers";
import { browser } from "@web/core/browser/browser";

describe.current.tags("desktop");
defineMailModels();

const RUN = 7;

/**
 * Open a chat in which the person has asked and an assistant has answered.
 *
 * @param {Object} [options]
 * @param {boolean} [options.isMine] whether the person has asked, and not somebody else
 * @param {Object} [options.run]
 */
async function openReply({ isMine = true, run = {} } = {}) {
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
    const say = (author_id, body) =>
        pyEnv["mail.message"].create({
            author_id,
            body,
            message_type: "comment",
            model: "discuss.channel",
            res_id: channelId,
        });
    const question = say(isMine ? serverState.partnerId : bobPartnerId, "<p>How much?</p>");
    const reply = say(assistantId, "<p>Forty-two.</p>");
    await start();
    const channel = { id: channelId, model: "discuss.channel" };
    const user_id = isMine ? serverState.userId : bobId;
    // The mock server's messages don't know of runs; the real ones send the same.
    getService("mail.store").insert({
        "ai.run": [
            {
                assistant_partner_id: assistantId,
                channel_id: channel,
                id: RUN,
                message_id: reply,
                state: "done",
                trigger_message_id: question,
                user_id,
                ...run,
            },
        ],
        "discuss.channel": [
            { ai_assistant_partner_id: assistantId, has_ai_assistant: true, id: channelId },
        ],
        "res.partner": [{ id: assistantId, is_ai_assistant: true, name: "Helper" }],
        "res.users": [
            { id: bobId, partner_id: bobPartnerId },
            { id: serverState.userId, partner_id: serverState.partnerId, share: false },
        ],
    });
    await openDiscuss(channelId);
    await contains(".o-mail-Message", { count: 2 });
    return { assistantId, channel, channelId, pyEnv, question, reply, user_id };
}

/** Answer the calls of our methods with `answer`, and note them. */
function serve(model, method, answer = true) {
    onRpc(model, method, ({ args }) => {
        asyncStep(`${method} ${JSON.stringify(args)}`);
        return answer;
    });
}

test("a reply of one's own is made anew with a click, and the old one folds away", async () => {
    serve("ai.run", "regenerate", 8);
    const { assistantId, channel, question, user_id } = await openReply();
    await click(".o-ai-ReplyActions-regenerate");
    await waitForSteps(["regenerate [[7]]"]);
    await contains(".o-mail-Composer-input:focus"); // else the answer would count as unread
    getService("mail.store").insert({
        "ai.run": [
            { id: RUN, is_replaced: true },
            {
                assistant_partner_id: assistantId,
                channel_id: channel,
                id: 8,
                state: "queued",
                trigger_message_id: question,
                user_id,
            },
        ],
    });
    await contains(".o-ai-Replaced.o-ai-folded .o-ai-Replaced-toggle[aria-expanded='false']");
    await contains(".o-ai-ReplyActions", { count: 0 });
    expect(".o-mail-Message-body:contains('Forty-two.')").not.toBeVisible();
    await click(".o-ai-Replaced-toggle");
    await contains(".o-ai-Replaced-toggle[aria-expanded='true']");
    expect(".o-mail-Message-body:contains('Forty-two.')").toBeVisible();
    await contains(".o-ai-ReplyActions-copy");
    await contains(".o-ai-ReplyActions-regenerate", { count: 0 });
});

test("a reply that comes back after a failed attempt is unfolded", async () => {
    await openReply({ run: { is_replaced: true } });
    await contains(".o-ai-folded");
    getService("mail.store").insert({ "ai.run": [{ id: RUN, is_replaced: false }] });
    await contains(".o-ai-folded", { count: 0 });
    await contains(".o-ai-ReplyActions-regenerate");
});

test("what somebody else has asked is not the person's to ask anew or to continue", async () => {
    await openReply({ isMine: false, run: { is_incomplete: true, state: "cancelled" } });
    await contains(".o-ai-ReplyActions-copy");
    await contains(".o-ai-ReplyActions-regenerate", { count: 0 });
    await contains(".o-ai-ReplyActions-continue", { count: 0 });
});

test("only the newest reply to a question is made anew", async () => {
    const { assistantId, channel, pyEnv, channelId, question, user_id } = await openReply();
    const rest = pyEnv["mail.message"].create({
        author_id: assistantId,
        body: "<p>Or more.</p>",
        message_type: "comment",
        model: "discuss.channel",
        res_id: channelId,
    });
    getService("mail.store").insert({
        "ai.run": [
            {
                assistant_partner_id: assistantId,
                channel_id: channel,
                id: 8,
                message_id: rest,
                state: "done",
                trigger_message_id: question,
                user_id,
            },
        ],
    });
    await contains(".o-ai-ReplyActions-regenerate", { count: 0 });
});

test("a reply that broke off is continued", async () => {
    serve("ai.run", "continue_reply", 8);
    await openReply({ run: { is_incomplete: true, state: "cancelled" } });
    await click(".o-ai-ReplyActions-continue");
    await waitForSteps(["continue_reply [[7]]"]);
});

test("a complete reply is not continued", async () => {
    await openReply();
    await contains(".o-ai-ReplyActions-copy");
    await contains(".o-ai-ReplyActions-continue", { count: 0 });
});

test("a failed reply offers once to try again", async () => {
    await openReply({ run: { error_code: "model_unavailable", state: "error" } });
    await contains(".o-ai-RunError-retry");
    await contains(".o-ai-ReplyActions-copy");
    await contains(".o-ai-ReplyActions-regenerate", { count: 0 });
});

test("why nothing comes of it is said", async () => {
    onRpc("ai.run", "regenerate", () => {
        throw makeServerError({ message: "The budget “Day” is used up." });
    });
    await openReply();
    await click(".o-ai-ReplyActions-regenerate");
    await contains(".o_notification:contains('The budget “Day” is used up.')");
    await contains(".o-ai-ReplyActions-regenerate:enabled");
});

test("reactions stay at the reply's text, above what can be done with it", async () => {
    const { reply } = await openReply();
    getService("mail.store").insert({
        MessageReactions: [
            {
                content: "👍",
                count: 1,
                message: reply,
                partners: [serverState.partnerId],
                sequence: 1,
            },
        ],
    });
    await contains(
        ".o-mail-Message-contentContainer + .o-mail-MessageReactions + .o-ai-ReplyActions"
    );
});

test("a reply is copied as its assistant wrote it", async () => {
    serve("ai.run", "read", [{ id: RUN, text: "**Forty**-two." }]);
    patchWithCleanup(browser.navigator.clipboard, { writeText: (text) => asyncStep(text) });
    await openReply();
    await click(".o-ai-ReplyActions-copy");
    await waitForSteps(['read [[7],["text"]]', "**Forty**-two."]);
    await contains(".o-ai-ReplyActions-copy[aria-label='Copied'] .fa-check");
});

test("a thumb counts at once, and why is asked for next", async () => {
    serve("ai.run", "give_feedback");
    await openReply();
    await click(".o-ai-ReplyActions-down");
    await waitForSteps(['give_feedback [[7],"down",""]']);
    await contains(".o-ai-ReplyActions-down[aria-pressed='true']");
    await contains(".o-ai-FeedbackPopover:contains('What should be better?') textarea:focus");
    await insertText(".o-ai-FeedbackPopover textarea", " Too long. ");
    await click(".o-ai-FeedbackPopover button:contains('Send')");
    await waitForSteps(['give_feedback [[7],"down","Too long."]']);
    await contains(".o-ai-FeedbackPopover", { count: 0 });
});

test("the same thumb again takes back what was said", async () => {
    serve("ai.run", "give_feedback");
    await openReply({ run: { own_comment: "Nice.", own_rating: "up" } });
    await click(".o-ai-ReplyActions-up[aria-pressed='true']");
    await waitForSteps(['give_feedback [[7],false,""]']);
    await contains(".o-ai-ReplyActions-up[aria-pressed='false']");
    await contains(".o-ai-FeedbackPopover", { count: 0 });
});

test("a thumb that the server refuses is not shown", async () => {
    onRpc("ai.run", "give_feedback", () => {
        throw makeServerError({ message: "No." });
    });
    await openReply();
    await click(".o-ai-ReplyActions-up");
    await contains(".o_notification:contains('No.')");
    await contains(".o-ai-ReplyActions-up[aria-pressed='false']");
});

test("one's last question is edited and sent again", async () => {
    serve("discuss.channel", "ai_resend", [8]);
    const { channelId, question } = await openReply();
    await click(".o-mail-Message:contains('How much?') [title='Edit and Resend']");
    await contains(".o-mail-Message .o-mail-Composer:contains('to resend')");
    await insertText(".o-mail-Message .o-mail-Composer-input", "How many?", { replace: true });
    await press("Enter");
    await waitForSteps([`ai_resend [[${channelId}],${question}]`]);
    await contains(".o-mail-Message-body:contains('How many?')");
});

test("a question that is only edited is not sent again", async () => {
    serve("discuss.channel", "ai_resend", [8]);
    await openReply();
    await click(".o-mail-Message:contains('How much?') [title='Edit and Resend']");
    await contains(".o-mail-Message .o-mail-Composer");
    await press("Escape");
    await contains(".o-mail-Message .o-mail-Composer", { count: 0 });
    await click(".o-mail-Message:contains('How much?') [title='Edit']");
    await insertText(".o-mail-Message .o-mail-Composer-input", "How many?", { replace: true });
    await press("Enter");
    await contains(".o-mail-Message-body:contains('How many?')");
    await waitForSteps([]);
});

test("a conversation goes on beside, from any message", async () => {
    const { channelId, pyEnv, reply } = await openReply();
    const forkId = pyEnv["discuss.channel"].create({ channel_type: "group", name: "Office (fork)" });
    serve("discuss.channel", "ai_fork", forkId);
    await hover(queryFirst(".o-mail-Message:contains('Forty-two.')"));
    await click(".o-mail-Message:contains('Forty-two.') [title='Expand']");
    await click(".o-dropdown-item:contains('Fork from Here')");
    await waitForSteps([`ai_fork [[${channelId}],${reply}]`]);
    await contains(".o-mail-DiscussContent-threadName[title='Office (fork)']");
});

test("Escape in the composer stops what was asked for, and nothing else", async () => {
    onRpc(
        "/api/ai/run/8/stop",
        () => {
            asyncStep("stop");
            return { run_id: 8, state: "cancelled" };
        },
        { pure: true }
    );
    const { assistantId, channel, user_id } = await openReply();
    await focus(".o-mail-Composer-input");
    await press("Escape");
    await animationFrame();
    await waitForSteps([]);
    getService("mail.store").insert({
        "ai.run": [
            { assistant_partner_id: assistantId, channel_id: channel, id: 8, state: "waiting", user_id },
        ],
    });
    await contains(".o-ai-Stop");
    await insertText(".o-mail-Composer-input", "@");
    await contains(".o-mail-NavigableList .o-open");
    await press("Escape");
    await contains(".o-mail-NavigableList .o-open", { count: 0 });
    await waitForSteps([]);
    await press("Escape");
    await waitForSteps(["stop"]);
});
