"""Assistants as members, and what leaves a conversation together with a person."""

from odoo import SUPERUSER_ID, api, models


class DiscussChannelMember(models.Model):
    _inherit = "discuss.channel.member"

    @api.model_create_multi
    def create(self, vals_list):
        members = super().create(vals_list)
        assistants = self.env["ai.assistant"]._of_partners(members.partner_id)
        for assistant in assistants:
            if self.env.uid != SUPERUSER_ID:
                assistant._check_usable(self.env.user)
            # sudo: discuss.channel - the conversation gets the assistant that the user may use and has just invited
            for member in members.sudo():
                if member.partner_id == assistant.sudo().partner_id:
                    member.channel_id._ai_adopt(assistant)
        return members

    def unlink(self):
        # sudo: discuss.channel - what a member brought, and the assistant that leaves, go with the membership
        left = [(member.channel_id, member.partner_id) for member in self.sudo()]
        result = super().unlink()
        for channel, partner in left:
            channel._ai_forget(partner)
        return result
