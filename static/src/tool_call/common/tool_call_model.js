import { fields, Record } from "@mail/core/common/record";

import { _t } from "@web/core/l10n/translation";

/** One call of a tool: what the model asked for, how far it got, and what came back. */
export class AiToolCall extends Record {
    static _name = "ai.tool.call";
    static id = "id";

    /** @type {Object} */
    arguments;
    /** @type {string} its id in the conversation with the model */
    call_id;
    /** @type {string} the tool's title, or its name where it has none */
    display_name;
    /** @type {number} */
    duration_ms;
    /** @type {number} */
    id;
    /** @type {boolean} */
    is_error;
    message_id = fields.One("mail.message");
    /** @type {string|false} the result as the model reads it */
    response;
    /** @type {number} which reply of the model asked for it, counted from 1 */
    round;
    run_id = fields.One("ai.run");
    /** @type {string|false} */
    server_name;
    started_at = fields.Datetime();
    /** @type {"pending"|"approval"|"invoking"|"done"|"error"|"denied"|"cancelled"} */
    state;
    /** @type {string} */
    tool_name;
    /** @type {boolean} whether the response is only a part of what the tool returned */
    truncated;

    get isOpen() {
        return ["pending", "approval", "invoking"].includes(this.state);
    }

    get argumentsText() {
        return JSON.stringify(this.arguments ?? {}, null, 2);
    }

    /** The arguments on one line, to tell calls of the same tool apart. */
    get argumentsPreview() {
        return Object.entries(this.arguments ?? {})
            .map(([name, value]) => `${name}: ${JSON.stringify(value)}`)
            .join(", ");
    }

    get hasArguments() {
        return Object.keys(this.arguments ?? {}).length > 0;
    }

    get responseText() {
        try {
            return JSON.stringify(JSON.parse(this.response), null, 2);
        } catch {
            return this.response || "";
        }
    }

    get durationText() {
        if (this.isOpen || !this.started_at) {
            return "";
        }
        return this.duration_ms < 1000
            ? _t("%(count)s ms", { count: this.duration_ms })
            : _t("%(count)s s", { count: (this.duration_ms / 1000).toFixed(1) });
    }
}
AiToolCall.register();
