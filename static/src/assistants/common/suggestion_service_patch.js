import { SuggestionService } from "@mail/core/common/suggestion_service";
// The patch below has to come after this one, which leaves out whoever is no member.
import "@mail/discuss/core/common/suggestion_service_patch";

import { patch } from "@web/core/utils/patch";

/** @type {SuggestionService} */
const suggestionServicePatch = {
    /** @override A mention calls an assistant in, also where only members can be mentioned otherwise. */
    getPartnerSuggestions(thread) {
        const partners = super.getPartnerSuggestions(...arguments);
        if (!["channel", "group"].includes(thread?.channel_type)) {
            return partners;
        }
        const assistants = this.store.aiAssistants.filter((assistant) => !assistant.in(partners));
        return [...partners, ...assistants];
    },
};
patch(SuggestionService.prototype, suggestionServicePatch);
