import { Component, useEffect } from "@odoo/owl";

/**
 * What a reply says so far.
 *
 * @typedef {Object} Props
 * @property {import("models").AiRun} run
 * @extends {Component<Props, Env>}
 */
export class LiveText extends Component {
    static template = "ai_discuss.LiveText";
    static props = ["run"];

    setup() {
        super.setup();
        // Who has scrolled to the end stays there: the thread doesn't see that this grows.
        useEffect(() => this.env.onImageLoaded?.());
    }
}
