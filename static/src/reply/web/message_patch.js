import { Message } from "@mail/core/common/message";
// The patch below has to come after this one, which defines what it overrides.
import "@mail/core/web_portal/message_patch";

import { patch } from "@web/core/utils/patch";

patch(Message.prototype, {
    /** @override A quotation is part of an assistant's answer, and not an e-mail's history to be hidden. */
    insertEllipsisbtn() {
        if (!this.isAiReply) {
            super.insertEllipsisbtn(...arguments);
        }
    },
});
