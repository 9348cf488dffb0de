import { ToolCallText } from "@ai_discuss/tool_call/common/tool_call_text";

import { RelativeTime } from "@mail/core/common/relative_time";

import { Component, useEffect, useRef, useState } from "@odoo/owl";

import { _t } from "@web/core/l10n/translation";

const { DateTime } = luxon;
const FEWEST_LINES = 3;
const MOST_LINES = 16;

/**
 * What a person has to know of a call that waits for a decision; and the decision, for whoever may make it: as the
 * assistant wants it, with other arguments, for this time or from now on.
 *
 * @typedef {Object} Props
 * @property {import("models").AiToolCall} toolCall
 * @property {function} [onDecided] called when the server has taken the decision
 * @extends {Component<Props, Env>}
 */
export class Approval extends Component {
    static template = "ai_discuss.Approval";
    static components = { RelativeTime, ToolCallText };
    static props = ["toolCall", "onDecided?"];

    setup() {
        super.setup();
        this.editor = useRef("editor");
        this.editButton = useRef("edit");
        this.state = useState({
            /** Whether the tool is to run unasked from now on. */
            always: false,
            /** @type {string} why the arguments cannot be sent like this */
            problem: "",
            /** @type {"approve"|"deny"|null} the decision that was sent, until the bus tells what came of it */
            sent: null,
        });
        let wasEditing = this.isEditing;
        useEffect(
            (isEditing) => {
                if (isEditing !== wasEditing) {
                    wasEditing = isEditing;
                    (isEditing ? this.editor : this.editButton).el?.focus();
                }
            },
            () => [this.isEditing]
        );
    }

    get run() {
        return this.props.toolCall.run_id;
    }

    get isEditing() {
        return this.props.toolCall.argumentsDraft !== undefined;
    }

    get argumentsLabel() {
        return _t("Arguments");
    }

    get editorLabel() {
        return _t("Arguments of %(tool)s, as JSON", { tool: this.props.toolCall.display_name });
    }

    get editorLines() {
        const lines = this.props.toolCall.argumentsDraft.split("\n").length;
        return Math.min(Math.max(lines, FEWEST_LINES), MOST_LINES);
    }

    get askedByText() {
        return _t("Asked by %(name)s", { name: this.run.user_id?.name });
    }

    get waitingText() {
        return _t("Waiting for %(name)s to decide", { name: this.run?.user_id?.name });
    }

    get expiryText() {
        return _t("If nobody decides until %(moment)s, the call is denied.", {
            moment: this.props.toolCall.expires_at.toLocaleString(DateTime.DATETIME_MED),
        });
    }

    get approveText() {
        return this.isEditing ? _t("Approve changes") : _t("Approve");
    }

    /** For those who hear the button without seeing the card around it. */
    get approveLabel() {
        return _t("Approve %(tool)s", { tool: this.props.toolCall.display_name });
    }

    get denyLabel() {
        return _t("Deny %(tool)s", { tool: this.props.toolCall.display_name });
    }

    get editLabel() {
        return _t("Change the arguments of %(tool)s", { tool: this.props.toolCall.display_name });
    }

    edit() {
        this.props.toolCall.argumentsDraft = this.props.toolCall.argumentsText;
    }

    discard() {
        this.props.toolCall.argumentsDraft = undefined;
        this.state.problem = "";
    }

    /** @param {InputEvent} ev */
    onInput(ev) {
        this.props.toolCall.argumentsDraft = ev.target.value;
        this.state.problem = "";
    }

    /** @param {KeyboardEvent} ev */
    onKeydown(ev) {
        if (ev.key === "Escape") {
            this.discard();
        } else if (ev.key === "Enter" && (ev.ctrlKey || ev.metaKey)) {
            this.approve();
        } else {
            return;
        }
        ev.preventDefault();
        ev.stopPropagation();
    }

    async approve() {
        const body = { id: this.props.toolCall.call_id };
        if (this.isEditing) {
            const { problem, value } = parseObject(this.props.toolCall.argumentsDraft);
            if (problem) {
                this._refuse(problem);
                return;
            }
            body.arguments = value;
        }
        if (this.state.always) {
            body.always = true;
        }
        await this._send("approve", body);
    }

    async deny() {
        await this._send("deny", { id: this.props.toolCall.call_id });
    }

    /**
     * @param {"approve"|"deny"} decision
     * @param {Object} body
     */
    async _send(decision, body) {
        const { onDecided, toolCall } = this.props;
        this.state.sent = decision;
        this.state.problem = "";
        const problem = await this.run.request(decision, body);
        if (problem) {
            this.state.sent = null;
            this._refuse(problem);
            return;
        }
        toolCall.argumentsDraft = undefined;
        onDecided?.(toolCall);
    }

    /** @param {string} problem */
    _refuse(problem) {
        this.state.problem = problem;
        this.editor.el?.focus();
    }
}

/**
 * @param {string} text
 * @returns {{ value?: Object, problem?: string }} the JSON object that it is, or why it is none
 */
function parseObject(text) {
    let value;
    try {
        value = JSON.parse(text);
    } catch (error) {
        return { problem: _t("This is not valid JSON: %(problem)s", { problem: error.message }) };
    }
    if (value === null || typeof value !== "object" || Array.isArray(value)) {
        return { problem: _t("The arguments have to be a JSON object: { … }") };
    }
    return { value };
}
