import { AskAi } from "@ai_discuss/ask_ai/web/ask_ai";

import { Chatter } from "@mail/chatter/web_portal/chatter";
// The patch below has to come after this one, which brings what it uses.
import "@mail/chatter/web/chatter_patch";

import { patch } from "@web/core/utils/patch";

Object.assign(Chatter.components, { AskAi });

patch(Chatter.prototype, {
    /**
     * Open a conversation about the record, as it is on the screen: what the person has typed is saved first.
     *
     * @param {import("models").ResPartner} assistant
     */
    async askAi(assistant) {
        const isNew = !this.state.thread.id;
        if (isNew) {
            this.onThreadCreated = (thread) => this.store.askAi(assistant, thread);
        }
        const isSaved = (await this.props.saveRecord?.()) ?? true;
        if (isSaved && !isNew) {
            await this.store.askAi(assistant, this.state.thread);
        }
    },
});
