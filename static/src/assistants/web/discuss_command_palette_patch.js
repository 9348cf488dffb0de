import { DiscussCommandPalette } from "@mail/discuss/core/public_web/discuss_command_palette";
import { cleanTerm } from "@mail/utils/common/format";

import { _t } from "@web/core/l10n/translation";
import { registry } from "@web/core/registry";
import { patch } from "@web/core/utils/patch";

const AI_ASSISTANTS = "AI_ASSISTANTS";
const LIMIT = 5;

registry
    .category("command_categories")
    .add(AI_ASSISTANTS, { namespace: "@", name: _t("Assistants") }, { sequence: 30 });

patch(DiscussCommandPalette.prototype, {
    /** @override Only people with users are found otherwise. */
    buildResults() {
        super.buildResults(...arguments);
        const assistants = this.store.aiAssistants.filter(
            (assistant) =>
                cleanTerm(assistant.displayName).includes(this.cleanedTerm) &&
                !this.commands.some((command) => command.props.persona?.eq(assistant))
        );
        for (const assistant of assistants.slice(0, LIMIT)) {
            this.commands.push(this.makeDiscussCommand(assistant, AI_ASSISTANTS));
        }
    },
});
