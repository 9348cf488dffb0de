import { RunNotices } from "@ai_discuss/channel_settings/common/run_notices";
import { loadMarkdown } from "@ai_discuss/markdown/common/markdown";
import { LiveText } from "@ai_discuss/reply/common/live_text";
import { Reasoning } from "@ai_discuss/reply/common/reasoning";
import { Elapsed } from "@ai_discuss/tool_call/common/elapsed";
import { ToolCallList } from "@ai_discuss/tool_call/common/tool_call_list";

import { Component, useEffect, useRef } from "@odoo/owl";

import { isMobileOS } from "@web/core/browser/feature_detection";
import { _t } from "@web/core/l10n/translation";
import { useService } from "@web/core/utils/hooks";

/**
 * A reply that is being made, at the foot of its conversation: laid out as the message that will take its place.
 *
 * @typedef {Object} Props
 * @property {import("models").AiRun} run
 * @property {boolean} [squashed] whether it belongs to the message above, and goes without avatar and name
 * @extends {Component<Props, Env>}
 */
export class ActiveRun extends Component {
    static template = "ai_discuss.ActiveRun";
    static components = { Elapsed, LiveText, Reasoning, RunNotices, ToolCallList };
    static props = ["run", "squashed?"];

    setup() {
        super.setup();
        this.root = useRef("root");
        this.shownSince = Date.now();
        loadMarkdown().catch(() => {}); // it is there when the first word comes, or tried again then
        this.streams = useService("ai_discuss.run_streams");
        useEffect(
            (isTelling) => (isTelling ? this.streams.watch(this.props.run) : undefined),
            () => [this.props.run.isTelling && this.props.run.isReadable]
        );
        // Who has scrolled to the end stays there: the thread doesn't see that this grows. An observer is told once the page
        // is laid out; who asks how high it is after each word has it laid out once more.
        useEffect(
            (root) => {
                const observer = new ResizeObserver(() => this.env.onImageLoaded?.());
                observer.observe(root);
                return () => observer.disconnect();
            },
            () => [this.root.el]
        );
    }

    /** How much room the buttons take that its message will have beside it: as many as `Message.quickActionCount` says. */
    get actionsWidth() {
        if (isMobileOS()) {
            return 37;
        }
        return this.env.inChatWindow || this.env.inMeetingChat ? 49 : 90;
    }

    /** Whether it waits for a decision. */
    get statusText() {
        const run = this.props.run;
        if (!run.callsToDecide.length) {
            return "";
        }
        return run.isControllable ? _t("needs your approval") : _t("needs an approval");
    }

    /** What happens now, where neither the text nor the calls nor the thoughts show it. */
    get progressText() {
        const run = this.props.run;
        if (run.isStopping) {
            return _t("Stopping…");
        }
        if (run.isBehindAnother) {
            return _t("Waiting for its turn…");
        }
        return run.isThinking && run.phase !== "reasoning" ? _t("Thinking…") : "";
    }

    /** Since when that happens. */
    get progressSince() {
        return this.props.run.phaseSince || this.shownSince;
    }

    /**
     * Who decides with the keyboard goes on with it: to the next decision, or to the composer.
     *
     * @param {import("models").AiToolCall} decided
     */
    onDecided(decided) {
        const next = this.root.el?.querySelector(
            `.o-ai-Approval:not([data-id='${decided.id}']) .o-ai-Approval-approve:not(:disabled)`
        );
        if (next) {
            next.focus();
        } else {
            this.props.run.channel_id.focusAiComposer();
        }
    }
}
