import { useClock } from "@ai_discuss/tool_call/common/clock";

import { Component, xml } from "@odoo/owl";

import { _t } from "@web/core/l10n/translation";

/**
 * For how many seconds something has been going on; nothing in the first one.
 *
 * @typedef {Object} Props
 * @property {number} since milliseconds since 1970
 * @extends {Component<Props, Env>}
 */
export class Elapsed extends Component {
    static props = ["since"];
    static template = xml`<t t-out="text"/>`;

    setup() {
        super.setup();
        this.clock = useClock();
    }

    get text() {
        const seconds = Math.floor((this.clock.now - this.props.since) / 1000);
        if (seconds < 1) {
            return "";
        }
        return seconds < 60
            ? _t("%(count)s s", { count: seconds })
            : _t("%(minutes)s min %(seconds)s s", {
                  minutes: Math.floor(seconds / 60),
                  seconds: seconds % 60,
              });
    }
}
