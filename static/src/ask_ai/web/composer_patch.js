import { AskedRecord } from "@ai_discuss/ask_ai/web/asked_record";

import { Composer } from "@mail/core/common/composer";

import { patch } from "@web/core/utils/patch";

Object.assign(Composer.components, { AskedRecord });

patch(Composer.prototype, {
    /** Whether what is written here is a question about a record. */
    get asksAboutRecord() {
        return !this.props.composer.message && Boolean(this.thread?.ai_record);
    },
});
