import { noticeText } from "@ai_discuss/channel_settings/common/notice_texts";

import { Component } from "@odoo/owl";

import { unique } from "@web/core/utils/arrays";

/**
 * What a person should know of a reply beside what it says: quiet, for nothing went wrong that keeps them from reading it.
 *
 * @typedef {Object} Props
 * @property {{ code: string, message: string }[]} notices
 * @property {boolean} [isTitled] whether it has to say that it is about the last reply
 * @extends {Component<Props, Env>}
 */
export class RunNotices extends Component {
    static template = "ai_discuss.RunNotices";
    static props = ["notices", "isTitled?"];

    get texts() {
        return unique(this.props.notices.map((notice) => noticeText(notice).toString()));
    }
}
