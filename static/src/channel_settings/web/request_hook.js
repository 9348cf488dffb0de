import { useState } from "@odoo/owl";

import { _t } from "@web/core/l10n/translation";
import { RPCError } from "@web/core/network/rpc";
import { useService } from "@web/core/utils/hooks";

/**
 * What a person has the server do from a panel: that it is under way, and why it was not done, stay in view there.
 *
 * @typedef {Object} Request
 * @property {boolean} isPending
 * @property {string} problem why the last request failed; empty where it did not
 * @property {(send: (orm: Object) => Promise) => Promise} make what `send` resolves to; undefined where that fails
 *
 * @returns {Request}
 */
export function useRequest() {
    const orm = useService("orm");
    const state = useState({
        isPending: false,
        problem: "",
        async make(send) {
            state.isPending = true;
            state.problem = "";
            try {
                return await send(orm);
            } catch (error) {
                state.problem = problemOf(error);
            } finally {
                state.isPending = false;
            }
        },
    });
    return state;
}

/** @param {Error} error */
function problemOf(error) {
    if (error instanceof RPCError) {
        return error.data?.message || error.message;
    }
    return _t("The server cannot be reached. Try again in a moment.");
}
