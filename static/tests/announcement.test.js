import {
    contains,
    defineMailModels,
    openDiscuss,
    start,
    startServer,
} from "@mail/../tests/mail_test_helpers";
import { describe, test } from "@odoo/hoot";
import { Command, getService, serverState } from "@web/../tests/web_test_helpers";

describe.current.tags("desktop");
defineMailModels();

const RUN = 7;

/** Open a chat in which an assistant is at work; what it will say in the end is there already. */
async function openRun(state = "running") {
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
        body: "<p>It is <b>noon</b>.</p>",
        message_type: "comment",
        model: "discuss.channel",
        res_id: channelId,
    });
    await start();
    tell({
        assistant_partner_id: partnerId,
        channel_id: { id: channelId, model: "discuss.channel" },
        state,
        user_id: serverState.userId,
    });
    await openDiscuss(channelId);
    await contains(".o-mail-Message");
    return messageId;
}

/** What the bus tells of the run. */
function tell(values) {
    getService("mail.store").insert({ "ai.run": [{ id: RUN, ...values }] });
}

test("a reply is announced once it is complete, and nothing before", async () => {
    const messageId = await openRun();
    await contains(".o-ai-ReplyAnnouncer[role='status']:empty");
    tell({ message_id: messageId, state: "done" });
    await contains(".o-ai-ReplyAnnouncer:text('Helper says: It is noon.')");
});

test("a failure is announced with its reason", async () => {
    const messageId = await openRun();
    tell({ error_code: "model_timeout", message_id: messageId, state: "error" });
    await contains(
        ".o-ai-ReplyAnnouncer:text('Helper could not answer: The model took too long to answer.')"
    );
});

test("replies that were there before are not announced", async () => {
    await openRun("done");
    await contains(".o-ai-ReplyAnnouncer:empty");
});
