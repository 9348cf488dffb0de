import { Component, useEffect, useState } from "@odoo/owl";

import { _t } from "@web/core/l10n/translation";
import { ERROR_INACCESSIBLE_OR_MISSING } from "@web/core/name_service";
import { useService } from "@web/core/utils/hooks";

/**
 * The record that the person asks an assistant about, at the composer: it leads back to it, and can be taken away.
 *
 * @typedef {Object} Props
 * @property {import("models").Thread} thread
 * @extends {Component<Props, Env>}
 */
export class AskedRecord extends Component {
    static template = "ai_discuss.AskedRecord";
    static props = ["thread"];

    setup() {
        super.setup();
        this.action = useService("action");
        this.nameService = useService("name");
        /** @type {{ name: string|symbol|undefined }} as the person may read it; undefined until that is known */
        this.state = useState({ name: undefined });
        useEffect(
            (model, id) => void this.loadName(model, id),
            () => [this.record.model, this.record.id]
        );
    }

    get record() {
        return this.props.thread.ai_record;
    }

    get isReadable() {
        return typeof this.state.name === "string";
    }

    get name() {
        if (this.state.name === ERROR_INACCESSIBLE_OR_MISSING) {
            return _t("A record that you cannot read any more");
        }
        return this.state.name || _t("This record");
    }

    get openText() {
        return _t("Open %(record)s", { record: this.name });
    }

    get removeText() {
        return _t("Stop asking about %(record)s", { record: this.name });
    }

    /**
     * @param {string} model
     * @param {number} id
     */
    async loadName(model, id) {
        this.state.name = undefined;
        const names = await this.nameService.loadDisplayNames(model, [id]);
        if (this.record.model === model && this.record.id === id) {
            this.state.name = names[id];
        }
    }

    open() {
        this.action.doAction({
            type: "ir.actions.act_window",
            res_model: this.record.model,
            res_id: this.record.id,
            views: [[false, "form"]],
        });
    }

    async remove() {
        const { thread } = this.props;
        thread.composer.autofocus++;
        await thread.forgetAiRecord();
    }
}
