import { Store } from "@mail/core/common/store_service";

import { patch } from "@web/core/utils/patch";

/** @type {import("models").Store} */
const storePatch = {
    setup() {
        super.setup(...arguments);
        /** Whether images in replies are loaded from wherever they are. */
        this.ai_remote_images = false;
        /** Whether the person manages assistants, and so may stop and decide for others. */
        this.is_ai_manager = false;
    },
};
patch(Store.prototype, storePatch);
