import { fields, Record } from "@mail/core/common/record";

import { _t } from "@web/core/l10n/translation";

// Characters that are not seen or turn around what follows: who decides on a call must see what it really says.
const DECEPTIVE = /[\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g;
const SAFE_LINK = /^(https?:|mailto:)/i;

/** One call of a tool: what the model asked for, how far it got, and what came back. */
export class AiToolCall extends Record {
    static _name = "ai.tool.call";
    static id = "id";

    /** @type {"asker"|"manager"|false} who may let the tool run unasked here from now on, while it waits */
    always_by;
    /** @type {Object} as they are sent, which may be as a person has changed them */
    arguments;
    /** @type {string|undefined} the arguments while the person is changing them */
    argumentsDraft;
    /** Images, sounds and files that the tool returned. */
    attachment_ids = fields.Many("ir.attachment");
    /** @type {string} its id in the conversation with the model */
    call_id;
    decided_at = fields.Datetime();
    decided_by = fields.One("res.users");
    /** @type {boolean} whether the server says that the tool may delete or overwrite */
    destructive;
    /** @type {string} the tool's title, or its name where it has none */
    display_name;
    /** @type {number} */
    duration_ms;
    /** How long a running call had been running when the server told of it. */
    elapsed_ms = fields.Attr(undefined, {
        /** @this {import("models").AiToolCall} */
        onUpdate() {
            this.runningSince = Date.now() - (this.elapsed_ms || 0);
        },
    });
    /** When it is denied if nobody has decided before; empty where that never happens. */
    expires_at = fields.Datetime();
    /** @type {boolean} whether its server has changed the tool since the call was asked for */
    has_changed;
    /** @type {number} */
    id;
    /** @type {boolean} whether it is called with the account of the one who asked */
    is_as_asker;
    /** @type {boolean} */
    is_error;
    /** @type {boolean|undefined} as the person wants it; undefined until they say so */
    isUnfolded;
    message_id = fields.One("mail.message");
    /** @type {{ kind: string, name?: string, text?: string, uri?: string }[]} what it returned beside text */
    parts;
    /** @type {number} how far it is, in the server's own measure */
    progress;
    /** @type {string|false} what it is doing, in the server's words */
    progress_message;
    /** @type {number} where `progress` will end; zero where the server doesn't say */
    progress_total;
    /** @type {Object|false} what the model asked for, where a person has changed it */
    proposed_arguments;
    /** @type {boolean} whether the server says that the tool changes nothing */
    read_only;
    /** @type {string|false} the result as the model reads it */
    response;
    /** @type {number} which reply of the model asked for it, counted from 1 */
    round;
    run_id = fields.One("ai.run");
    /** Since when a running call runs, by the clock of this machine: the server's may be another. */
    runningSince = 0;
    /** @type {string|false} */
    server_name;
    started_at = fields.Datetime();
    /** @type {"pending"|"approval"|"invoking"|"done"|"error"|"denied"|"cancelled"} */
    state = fields.Attr(undefined, {
        /** @this {import("models").AiToolCall} */
        onUpdate() {
            if (this.state === "approval") {
                // what needs a decision is in plain sight, whatever was folded before
                this.isUnfolded = undefined;
                if (this.run_id) {
                    this.run_id.areCallsUnfolded = undefined;
                }
            }
        },
    });
    /** @type {string} */
    tool_name;
    /** @type {boolean} whether the response is only a part of what the tool returned */
    truncated;

    get isOpen() {
        return ["pending", "approval", "invoking"].includes(this.state);
    }

    /** The files that stand below the reply, where Discuss shows them. */
    get filesOfReply() {
        return this.attachment_ids.filter((file) => file.message?.eq(this.message_id));
    }

    /** Those that are shown nowhere else. */
    get ownFiles() {
        return this.attachment_ids.filter((file) => !file.message?.eq(this.message_id));
    }

    /** What the tool returned to listen to. */
    get sounds() {
        return this.attachment_ids.filter((file) => file.mimetype?.startsWith("audio/"));
    }

    get argumentsText() {
        return undeceptive(JSON.stringify(this.arguments ?? {}, null, 2));
    }

    get proposedArgumentsText() {
        return this.proposed_arguments
            ? undeceptive(JSON.stringify(this.proposed_arguments, null, 2))
            : "";
    }

    /**
     * Whether the person may change the arguments before they approve; the server has the last word. Nobody but its
     * owner decides what an account is used for, and a number that JavaScript has rounded is not to be sent back.
     */
    get isEditable() {
        const run = this.run_id;
        return (
            Boolean(run?.isControllable) &&
            (run.isMine || !this.is_as_asker) &&
            hasOnlyExactNumbers(this.arguments ?? {})
        );
    }

    /** Whether the person may let the tool run unasked here from now on; the server has the last word. */
    get canAllowAlways() {
        return this.always_by === "manager"
            ? this.store.is_ai_manager
            : this.always_by === "asker" && Boolean(this.run_id?.isMine);
    }

    /** The arguments on one line, to tell calls of the same tool apart. */
    get argumentsPreview() {
        return Object.entries(this.arguments ?? {})
            .map(([name, value]) => undeceptive(`${name}: ${JSON.stringify(value)}`))
            .join(", ");
    }

    get hasArguments() {
        return Object.keys(this.arguments ?? {}).length > 0;
    }

    /** What is answered in place of a denied call tells the model what the line of the decision tells people. */
    get hasOwnResponse() {
        return Boolean(this.response) && !(this.state === "denied" && this.decisionText);
    }

    get responseText() {
        return readable(this.response);
    }

    /** Structured results; servers mostly send the same as text, which is enough to read. */
    get structuredTexts() {
        return this._partsOf("structured")
            .map((part) => readable(part.text))
            .filter((text) => text && text !== this.responseText);
    }

    /** What the tool refers to; only what is safe to open can be clicked. */
    get links() {
        return this._partsOf("link").map((part) => ({
            isSafe: SAFE_LINK.test(part.uri),
            name: part.name || part.uri,
            uri: part.uri,
        }));
    }

    /** Between 0 and 100, where the server says how far the running call is. */
    get progressPercent() {
        if (this.state !== "invoking" || !this.progress_total) {
            return undefined;
        }
        return Math.round(Math.min(Math.max(this.progress / this.progress_total, 0), 1) * 100);
    }

    /** What a running call is doing, as its server says. */
    get progressText() {
        return (this.state === "invoking" && this.progress_message) || "";
    }

    /** Whether it was denied because nobody decided on it. */
    get isExpired() {
        return this.state === "denied" && !this.decided_by && this.decided_at >= this.expires_at;
    }

    get decisionText() {
        if (this.isExpired) {
            return _t("Nobody decided in time");
        }
        if (!this.decided_by || this.state === "approval") {
            return "";
        }
        const name = this.decided_by.name;
        if (this.state === "denied") {
            return _t("Denied by %(name)s", { name });
        }
        return this.proposed_arguments
            ? _t("Changed and approved by %(name)s", { name })
            : _t("Approved by %(name)s", { name });
    }

    /** @param {string} kind */
    _partsOf(kind) {
        return (this.parts || []).filter((part) => part.kind === kind);
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

/**
 * @param {string|false|undefined} text
 * @returns {string} the same; JSON is laid out
 */
function readable(text) {
    try {
        return JSON.stringify(JSON.parse(text), null, 2);
    } catch {
        return text || "";
    }
}

/**
 * @param {string} json
 * @returns {string} the same, with such characters written out
 */
function undeceptive(json) {
    return json.replace(DECEPTIVE, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/**
 * @param {any} value as parsed from JSON
 * @returns {boolean}
 */
function hasOnlyExactNumbers(value) {
    if (typeof value === "number") {
        return !Number.isInteger(value) || Number.isSafeInteger(value);
    }
    return typeof value !== "object" || Object.values(value ?? {}).every(hasOnlyExactNumbers);
}
