import { fields, Record } from "@mail/core/common/record";

/** How far an assistant's reply is. The server says so; nothing here moves it. */
export class AiRun extends Record {
    static _name = "ai.run";
    static id = "id";

    /** @type {number} */
    id;
    channel_id = fields.One("Thread");
    /** @type {string|false} */
    error_code;
    /** @type {string|false} */
    error_message;
    message_id = fields.One("mail.message");
    /** @type {"queued"|"running"|"waiting"|"done"|"error"|"cancelled"} */
    state;
    tool_call_ids = fields.Many("ai.tool.call", { inverse: "run_id" });
    trigger_message_id = fields.One("mail.message");
    user_id = fields.One("res.users");
}
AiRun.register();
