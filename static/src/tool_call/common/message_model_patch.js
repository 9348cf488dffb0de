import { Message } from "@mail/core/common/message_model";
import { fields } from "@mail/core/common/record";

import { patch } from "@web/core/utils/patch";

patch(Message.prototype, {
    setup() {
        super.setup(...arguments);
        /** The calls that led to this reply, in the order in which the model asked for them. */
        this.tool_call_ids = fields.Many("ai.tool.call", {
            inverse: "message_id",
            sort: (call1, call2) => call1.id - call2.id,
        });
    },
});
