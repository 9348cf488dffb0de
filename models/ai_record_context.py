"""Conversations beside a record: *Ask AI* in a chatter opens one, and assistants see the record as who asks does.

Which record it is belongs to a seat, not to the conversation: it serves the questions of the person who put it there,
and nobody's else, so that nobody has others' rights used by it. What it says is read by `runtime.record`.
"""

from odoo import fields, models
from odoo.addons.mail.tools.discuss import Store
from odoo.exceptions import AccessError

from ..runtime import record as records


class DiscussChannelMember(models.Model):
    _inherit = "discuss.channel.member"

    ai_record_model = fields.Char(
        groups=fields.NO_ACCESS, copy=False, help="The model of the record that this person asks assistants about here."
    )
    ai_record_id = fields.Integer(groups=fields.NO_ACCESS, copy=False, help="And which record of it.")


class DiscussChannel(models.Model):
    _inherit = "discuss.channel"

    def _to_store_defaults(self, target):
        defaults = super()._to_store_defaults(target)
        if target.is_current_user(self.env):
            defaults.append(self._ai_record_attr())
        return defaults

    def ai_forget_record(self):
        """Take the record away that the caller asks about here. What was said about it stays."""
        self.ensure_one()
        self.check_access("read")
        self._ai_set_record(False, False)

    def _ai_record_of(self, user):
        """Which record `user` asks about here, as (model, id); None where it is none."""
        seat = self._ai_seats_of(user)
        return (seat.ai_record_model, seat.ai_record_id) if seat.ai_record_model else None

    def _ai_record_attr(self):
        """The same for the caller. Not how it is called: clients ask for that, with the rights that they then have."""
        seats = {seat.channel_id.id: seat for seat in self._ai_seats_of(self.env.user) if seat.ai_record_model}

        def value(channel):
            seat = seats.get(channel.id)
            return {"model": seat.ai_record_model, "id": seat.ai_record_id} if seat else False

        return Store.Attr("ai_record", value)

    def _ai_set_record(self, model_name, record_id):
        """Have the caller's questions be about that record; whether they may read it was checked."""
        self._ai_seats_of(self.env.user).write({"ai_record_model": model_name, "ai_record_id": record_id})
        Store(bus_channel=self.env.user).add(self, [self._ai_record_attr()]).bus_send()

    def _ai_seats_of(self, user):
        # sudo: discuss.channel.member - the seats of this very person
        seats = self.env["discuss.channel.member"].sudo()
        return seats.search([("channel_id", "in", self.ids), ("partner_id", "=", user.sudo().partner_id.id)])


class AiAssistant(models.Model):
    _inherit = "ai.assistant"

    def open_chat_about(self, res_model, res_id):
        """The id of a fresh conversation of the caller with this assistant, about a record that they may read."""
        self.ensure_one()
        if records.find(self.env, res_model, res_id) is None:
            raise AccessError(self.env._("This record does not exist, or you may not read it."))
        channel = self.env["discuss.channel"].browse(self.open_chat(new=True))
        channel._ai_set_record(res_model, res_id)
        return channel.id
