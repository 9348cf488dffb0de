import { Message } from "@mail/core/common/message_model";
import { decorateEmojis, htmlToTextContentInline } from "@mail/utils/common/format";

import { htmlReplaceAll } from "@web/core/utils/html";
import { patch } from "@web/core/utils/patch";

const BLOCK_ENDS = /<\/(blockquote|h[1-6]|li|p|pre|td|th)>/g;

/** @type {import("models").Message} */
const messagePatch = {
    setup() {
        super.setup(...arguments);
        const { compute } = this.inlineBody;
        /** On one line, as in the messaging menu, the paragraphs and cells of a reply would run into each other. */
        this.inlineBody.compute = function () {
            return this.author_id?.is_ai_assistant && this.body && !this.isEmpty
                ? decorateEmojis(htmlToTextContentInline(spaced(this.body)))
                : compute.call(this);
        };
    },
};
patch(Message.prototype, messagePatch);

/** @param {ReturnType<import("@odoo/owl").markup>|string} html */
function spaced(html) {
    return htmlReplaceAll(html, BLOCK_ENDS, () => " ");
}
