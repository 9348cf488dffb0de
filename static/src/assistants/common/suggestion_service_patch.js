import { SuggestionService } from "@mail/core/common/suggestion_service";

import { patch } from "@web/core/utils/patch";

/** @type {SuggestionService} */
const suggestionServicePatch = {
    /** @override A mention calls an assistant into a group, where only members can be mentioned otherwise. */
    getPartnerSuggestions(thread) {
        const partners = super.getPartnerSuggestions(...arguments);
        if (thread?.channel_type !== "group") {
            return partners;
        }
        const assistants = this.store.aiAssistants.filter((assistant) => !assistant.in(partners));
        return [...partners, ...assistants];
    },
};
patch(SuggestionService.prototype, suggestionServicePatch);
