import { fields, Record } from "@mail/core/common/record";

import { browser } from "@web/core/browser/browser";
import { _t } from "@web/core/l10n/translation";

const ENDS = ["done", "error", "cancelled"];
/** What the model does once a frame of this type has come; others change nothing. */
const PHASES = {
    chunk: "writing",
    reasoning: "reasoning",
    restart: "thinking",
    run: "thinking",
    tool_call: "calling",
    tool_result: "thinking",
};

/**
 * An assistant's reply in the making: its state and its calls as the bus tells them, and what it says as its stream does.
 * The server says all of it; nothing here moves it.
 */
export class AiRun extends Record {
    static _name = "ai.run";
    static id = "id";

    /** @type {boolean|undefined} whether its list of calls is unfolded, as the person wants it; undefined until they say so */
    areCallsUnfolded;
    assistant_partner_id = fields.One("res.partner");
    channel_id = fields.One("Thread", { inverse: "ai_run_ids" });
    /** @type {string|false} */
    error_code;
    /** @type {string|false} */
    error_message;
    /** @type {number} */
    id;
    /** Whether a request to stop it is on its way, or has been answered and not yet had its effect. */
    isStopping = false;
    message_id = fields.One("mail.message", { inverse: "ai_run_ids" });
    /** @type {{ code: string, message: string }[]} what a person should know of this reply, in the order it was told */
    notices = fields.Attr([]);
    /** @type {"thinking"|"reasoning"|"writing"|"calling"} what the model does, as its stream tells */
    phase = "thinking";
    /** @type {number} when that began, in milliseconds since 1970; zero before the stream tells */
    phaseSince = 0;
    /** @type {string} how the model came to its reply, where it says so */
    reasoning = "";
    /** @type {"queued"|"running"|"waiting"|"done"|"error"|"cancelled"} */
    state;
    /** @type {string} the reply so far, in Markdown */
    text = "";
    /** @type {Object<number, { reasoning: number, text: number }>} by round, how much was said before it */
    saidBefore = fields.Attr({});
    /** Milliseconds that the model has thought before it spoke or acted; `thinkingSince` is when it began the last time. */
    thinkingMs = 0;
    /** @type {number} milliseconds since 1970; zero while the model doesn't think */
    thinkingSince = 0;
    tool_call_ids = fields.Many("ai.tool.call", {
        inverse: "run_id",
        sort: (call1, call2) => call1.id - call2.id,
    });
    trigger_message_id = fields.One("mail.message");
    user_id = fields.One("res.users");

    get isActive() {
        return Boolean(this.state) && !ENDS.includes(this.state);
    }

    get isMine() {
        return Boolean(this.user_id?.eq(this.store.self_partner?.main_user_id));
    }

    /** Whether the person may stop it and decide on its calls; the server has the last word. */
    get isControllable() {
        return this.isMine || this.store.is_ai_manager;
    }

    /** The calls that wait for a decision. */
    get callsToDecide() {
        return this.tool_call_ids.filter((call) => call.state === "approval");
    }

    /** Whether the person may read its stream: guests are told of the reply when it is there. */
    get isReadable() {
        return Boolean(this.store.self_partner);
    }

    /** Whether its stream is worth a connection: it says something, or will as soon as it has its turn. */
    get isTelling() {
        return this.isActive && this.state !== "waiting" && !this.isBehindAnother;
    }

    /** Whether an earlier run of the conversation has to end first. */
    get isBehindAnother() {
        return (
            this.state === "queued" &&
            this.channel_id?.aiActiveRuns.some((run) => run.id < this.id && run.state !== "waiting")
        );
    }

    /** Whether the model thinks, or is about to: it neither speaks nor waits for a tool or for a person. */
    get isThinking() {
        const isBusy = this.phase === "writing" || this.tool_call_ids.some((call) => call.isOpen);
        return this.isTelling && !isBusy;
    }

    /**
     * Take in frames that came together. What is said in several is taken in at once: each change costs a rendering.
     *
     * @param {{ type: string, content?: string }[]} frames
     */
    receiveAll(frames) {
        const joined = [];
        for (const frame of frames) {
            const last = joined.at(-1);
            if (last?.type === frame.type && ["chunk", "reasoning"].includes(frame.type)) {
                last.content += frame.content;
            } else {
                joined.push({ ...frame });
            }
        }
        joined.forEach((frame) => this.receive(frame));
    }

    /**
     * Take in one frame of the run's stream (contract, section 3). The states of the run and of its calls are the bus's.
     *
     * @param {{ type: string }} frame
     */
    receive(frame) {
        this._enter(PHASES[frame.type] ?? this.phase);
        switch (frame.type) {
            case "chunk":
                this._endThinking();
                this.text += frame.content;
                break;
            case "reasoning":
                this.thinkingSince ||= Date.now();
                this.reasoning += frame.content;
                break;
            case "step":
                this._endThinking();
                this.saidBefore[frame.round + 1] = {
                    reasoning: this.reasoning.length,
                    text: this.text.length,
                };
                break;
            case "restart": {
                const { reasoning, text } = this.saidBefore[frame.round] ?? { reasoning: 0, text: 0 };
                this.reasoning = this.reasoning.slice(0, reasoning);
                this.text = this.text.slice(0, text);
                break;
            }
            case "notice":
                this.notices.push({ code: frame.code, message: frame.message });
                break;
        }
    }

    /** @param {"thinking"|"reasoning"|"writing"|"calling"} phase */
    _enter(phase) {
        if (phase !== this.phase || !this.phaseSince) {
            this.phase = phase;
            this.phaseSince = Date.now();
        }
    }

    _endThinking() {
        if (this.thinkingSince) {
            this.thinkingMs += Date.now() - this.thinkingSince;
            this.thinkingSince = 0;
        }
    }

    async stop() {
        this.isStopping = true;
        this.isStopping = await this.command("stop");
    }

    /**
     * Have the server do something with this run. What comes of it is told over the bus, to everybody.
     *
     * @param {"stop"|"approve"|"deny"} name
     * @param {Object} [body]
     * @returns {Promise<boolean>} whether the server has done it; otherwise the person was told why not
     */
    async command(name, body = {}) {
        const problem = await this.request(name, body);
        if (problem) {
            this.store.env.services.notification.add(problem, { type: "danger" });
        }
        return !problem;
    }

    /**
     * The same, for who tells the person in a place of their own.
     *
     * @param {"stop"|"approve"|"deny"} name
     * @param {Object} [body]
     * @returns {Promise<string>} why the server did not do it; empty where it did
     */
    request(name, body = {}) {
        return post(`/api/ai/run/${this.id}/${name}`, body);
    }
}
AiRun.register();

/**
 * @param {string} url
 * @param {Object} body
 * @returns {Promise<string>} why the server did not do it; empty where it did
 */
async function post(url, body) {
    try {
        const response = await browser.fetch(url, {
            body: JSON.stringify(body),
            headers: { "Content-Type": "application/json" },
            method: "POST",
        });
        return response.ok ? "" : (await response.json()).error.message;
    } catch {
        return _t("The server cannot be reached. Try again in a moment.");
    }
}
