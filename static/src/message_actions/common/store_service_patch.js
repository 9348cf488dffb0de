import { Store } from "@mail/core/common/store_service";

import { _t } from "@web/core/l10n/translation";
import { patch } from "@web/core/utils/patch";

/** @type {import("models").Store} */
const storePatch = {
    /** Whether the person works here: others see what assistants say, and can do nothing with it. */
    get isAiColleague() {
        return this.self_partner?.main_user_id?.share === false;
    },
    /**
     * Have the server do something that the person asked for.
     *
     * @param {string} model
     * @param {string} method
     * @param {Array} args
     * @returns {Promise<any>} what the server answers; undefined where it refuses, and the person was told why
     */
    async aiCall(model, method, args) {
        try {
            return await this.env.services.orm.silent.call(model, method, args);
        } catch (error) {
            const text =
                error.data?.message || _t("The server cannot be reached. Try again in a moment.");
            this.env.services.notification.add(text, { type: "danger" });
        }
    },
};
patch(Store.prototype, storePatch);
