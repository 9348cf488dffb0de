"""Assistants among the people of Discuss: found, mentioned and online, though they have no user."""

import base64

from odoo import api, fields, models
from odoo.addons.base.models.avatar_mixin import get_hsl_from_seed
from odoo.addons.mail.tools.discuss import Store
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.tools import file_open

AVATAR = "ai_discuss/static/img/assistant.svg"
AVATAR_COLOUR = "#714B67"  # the colour in the file, which each assistant replaces by one of its own


class ResPartner(models.Model):
    _inherit = "res.partner"

    is_ai_assistant = fields.Boolean(compute="_compute_is_ai_assistant", search="_search_is_ai_assistant")

    def _compute_is_ai_assistant(self):
        assistants = self.env["ai.assistant"]._ids_by_partner()
        for partner in self:
            partner.is_ai_assistant = partner._origin.id in assistants

    def _search_is_ai_assistant(self, operator, value):
        if operator != "in":
            return NotImplemented
        return Domain("id", "in", list(self.env["ai.assistant"]._ids_by_partner()))

    def _compute_im_status(self):
        super()._compute_im_status()
        self.filtered("is_ai_assistant").im_status = "bot"

    @api.ondelete(at_uninstall=False)
    def _unlink_except_ai_assistant(self):
        if self.filtered("is_ai_assistant"):
            raise UserError(self.env._("This contact is an AI assistant. Delete or archive the assistant instead."))

    def _avatar_generate_svg(self):
        if not self.is_ai_assistant:
            return super()._avatar_generate_svg()
        with file_open(AVATAR) as file:
            svg = file.read().replace(AVATAR_COLOUR, get_hsl_from_seed(f"{self.id} {self.create_date}"))
        return base64.b64encode(svg.encode())

    # -- Discuss

    def _to_store_defaults(self, target):
        return super()._to_store_defaults(target) + ["is_ai_assistant"]

    def _ai_store_fields(self, assistants=None):
        """What people see of assistants before they ask them anything. Of which `assistants`, where that is known."""
        if assistants is None:
            # sudo: ai.assistant - how an assistant introduces itself is no secret to those who see it
            assistants = self.env["ai.assistant"].sudo().with_context(active_test=False)
            assistants = assistants.search([("partner_id", "in", self.ids)], order="id")
        assistants = assistants.grouped("partner_id")
        return [
            "active", "avatar_128", "im_status", "is_ai_assistant", "name",
            Store.Attr("ai_assistant_id", lambda partner: assistants[partner].id),
            Store.Attr("ai_description", lambda partner: assistants[partner].description),
            Store.Attr("ai_prompts", lambda partner: assistants[partner]._suggested_prompts()),
        ]

    @api.model
    def _get_mention_suggestions_domain(self, search):
        """Outside conversations nobody would answer; inside, assistants are added by the method below."""
        return super()._get_mention_suggestions_domain(search) & Domain("is_ai_assistant", "=", False)

    @api.readonly
    @api.model
    def get_mention_suggestions_from_channel(self, channel_id, search, limit=8):
        suggestions = super().get_mention_suggestions_from_channel(channel_id, search, limit)
        channel = self.env["discuss.channel"].search([("id", "=", channel_id)])
        partners = self._ai_search_assistants(search, limit) if channel else self.browse()
        if channel.channel_type == "chat":
            partners &= channel.channel_member_ids.partner_id
        if not partners:
            return suggestions
        store = Store().add(partners, extra_fields=partners._get_store_mention_fields())
        if group := (channel.parent_channel_id or channel).group_public_id:
            for partner in partners:  # the client offers only members and people of the conversation's group
                store.add(partner, {"group_ids": [("ADD", group.ids)]})
        for model, records in store.get_result().items():
            suggestions[model] = [*suggestions.get(model, []), *records]
        return suggestions

    @api.readonly
    @api.model
    def _search_for_channel_invite(self, store, search_term, channel_id=None, limit=30):
        result = super()._search_for_channel_invite(store, search_term, channel_id, limit)
        partners = self._ai_search_assistants(search_term, limit)
        if channel_id:
            partners -= self.env["discuss.channel"].search([("id", "=", int(channel_id))]).channel_member_ids.partner_id
        store.add(partners)
        if partners:  # those that were made since the person's page was loaded are known from now on
            store.add_global_values(aiAssistants=Store.Many(partners, partners._ai_store_fields(), mode="ADD"))
        return {
            **result,
            "count": result["count"] + len(partners),
            "partner_ids": [*partners.ids, *result["partner_ids"]][:limit],
        }

    @api.model
    def _ai_search_assistants(self, term, limit):
        """The partners of the assistants that the user may use and that match `term`."""
        if not self.env.user._is_internal():
            return self.browse()
        assistants = self.env["ai.assistant"]._usable_by(self.env.user, Domain("name", "ilike", term))
        return assistants[:limit].partner_id.sudo(False)
