"""Conversations with assistants: who is asked, and when.

Posting only creates the run, in the poster's transaction; the engine answers later.
"""

from odoo import SUPERUSER_ID, api, fields, models
from odoo.addons.mail.tools.discuss import Store
from odoo.exceptions import AccessError, UserError
from odoo.tools import html2plaintext

from .ai_budget import RateLimited

NAME_LENGTH = 40  # characters of the first message that name a new conversation
MENTIONABLE_TYPES = ("channel", "group")  # where an assistant can be called in by a mention; a chat is for two


class DiscussChannel(models.Model):
    _inherit = "discuss.channel"

    # Passed by identity, so that no client can claim with a context of its own that the reply was already requested.
    _ai_requested_by_caller = {}

    ai_assistant_id = fields.Many2one(
        "ai.assistant", "AI Assistant", ondelete="set null", index="btree_not_null", copy=False,
        help="The assistant of this conversation.",
    )
    ai_reply_mode = fields.Selection(
        [("always", "To every message"), ("mention", "When mentioned"), ("off", "Never")],
        "AI Replies",
        required=True,
        default="mention",
        help="When assistants answer in this conversation. A mention addresses the mentioned assistant.",
    )
    ai_auto_name = fields.Boolean(help="The conversation is named after its first message.")

    @api.model_create_multi
    def create(self, vals_list):
        channels = super().create(vals_list)
        for channel, vals in zip(channels, vals_list, strict=True):
            if vals.get("ai_assistant_id"):
                channel._ai_seat_assistant()
        return channels

    def write(self, vals):
        if "name" in vals:  # who gives it a name means it to stay
            vals = {**vals, "ai_auto_name": False}
        result = super().write(vals)
        if vals.get("ai_assistant_id"):
            for channel in self:
                channel._ai_seat_assistant()
        return result

    @api.ondelete(at_uninstall=True)
    def _unlink_ai_runs(self):
        self.env["ai.run"]._prepare_deletion(self)

    def _sync_field_names(self):
        names = super()._sync_field_names()
        names[None] += self._ai_store_fields()
        return names

    def _to_store_defaults(self, target):
        return super()._to_store_defaults(target) + self._ai_store_fields() + [self._ai_active_runs(target)]

    @api.model
    def _ai_store_fields(self):
        # sudo: discuss.channel - the assistant is a member, whom everybody sees who sees the conversation
        return [
            Store.Attr("ai_auto_name", sudo=True),
            "ai_reply_mode",
            Store.Attr("has_ai_assistant", lambda channel: bool(channel.sudo().ai_assistant_id)),
            Store.One(
                "ai_assistant_partner_id",
                dynamic_fields=lambda channel: channel._ai_partner()._ai_store_fields(channel.sudo().ai_assistant_id),
                fields=[],
                value=lambda channel: channel._ai_partner(),
            ),
        ]

    def _ai_partner(self):
        """Who the conversation's own assistant is in it; with sudo."""
        # sudo: discuss.channel, ai.assistant - as above
        return self.sudo().ai_assistant_id.partner_id

    def _ai_active_runs(self, target):
        """The runs that have not ended, with their calls: who opens a conversation sees what waits for a decision."""
        # sudo: ai.run - whoever may read a conversation may read how the replies in it come about
        runs = self.env["ai.run"].sudo().search([("channel_id", "in", self.ids), ("finished_at", "=", False)])
        runs_by_channel = runs.grouped("channel_id")
        return Store.Many(
            "ai_run_ids", [*runs._to_store_defaults(target), Store.Many("tool_call_ids")],
            value=lambda channel: runs_by_channel.get(channel, runs.browse()),
        )

    # -- asking

    def _get_message_create_valid_field_names(self):
        return super()._get_message_create_valid_field_names() | {"tool_call_ids"}

    def message_post(self, **kwargs):
        message = super().message_post(**kwargs)
        if self.env.context.get("ai_requested_by") is not self._ai_requested_by_caller:
            self._ai_request_reply(message)
        return message

    def _ai_post(self, body, attachment_ids=(), idempotency_key=None):
        """Post `body` as the caller and ask the conversation's own assistant, whatever the reply mode: one run."""
        self.ensure_one()
        # sudo: discuss.channel - which assistant it is; whether the caller may use it is checked next
        assistant = self.sudo().ai_assistant_id
        if not assistant:
            raise UserError(self.env._("This conversation has no assistant."))
        assistant._check_usable(self.env.user)
        if not self.is_member:
            raise AccessError(self.env._("You are not a member of this conversation."))
        try:
            self.env["ai.budget"]._check(assistant, self.env.user)
        except RateLimited:
            self.env["ai.run"]._check_new_request(self, idempotency_key)
            raise
        message = self.with_context(ai_requested_by=self._ai_requested_by_caller).message_post(
            body=body,
            attachment_ids=list(attachment_ids),
            message_type="comment",
            subtype_xmlid="mail.mt_comment",
        ).with_context(ai_requested_by=None)
        self._ai_name_after(message)
        return self.env["ai.run"]._request(self, assistant, message, idempotency_key)

    def _ai_request_reply(self, message):
        """Create a run for each assistant that `message` addresses. Cheap where it is none: everybody's posts pass."""
        self.ensure_one()
        assistants = self._ai_addressed(message)
        if not assistants or not self.is_member or not self._ai_is_said_by_a_person(message):
            return
        for assistant in assistants:
            if not assistant._is_usable(self.env.user):
                self._ai_tell_unusable()
            else:
                if assistant != self.sudo().ai_assistant_id:  # the conversation's own is there already
                    self._ai_invite(assistant)
                self._ai_request_or_refuse(assistant, message)
        self._ai_name_after(message)

    def _ai_tell_unusable(self):
        """Tell a person who is alone with an assistant that no answer will come; among others they talk to those."""
        # sudo: discuss.channel - how many the person sees here
        if self.sudo().member_count <= 2:
            text = self.env._("This assistant does not answer you any more.")
            self.env.user._bus_send_transient_message(self, text)

    def _ai_request_or_refuse(self, assistant, message):
        """The message is said, whatever budgets allow: where they don't, the assistant says so."""
        try:
            self.env["ai.budget"]._check(assistant, self.env.user)
        except RateLimited as refusal:
            self.env["ai.run"]._refuse(self, assistant, message, refusal)
        else:
            self.env["ai.run"]._request(self, assistant, message)

    def _ai_addressed(self, message):
        """The mentioned assistants; without any, the conversation's own where it answers to every message."""
        # sudo: discuss.channel - configuration of the conversation that the message was posted in
        channel = self.sudo()
        if channel.ai_reply_mode == "off":
            return self.env["ai.assistant"]
        mentioned = self.env["ai.assistant"]._of_partners(message.sudo().partner_ids)
        if mentioned or channel.ai_reply_mode != "always":
            return mentioned
        return channel.ai_assistant_id

    def _ai_is_said_by_a_person(self, message):
        """Only what the person at the keyboard says is answered: nothing by gateways, bots, crons or assistants, and
        nothing that the system says in somebody's name."""
        # sudo: mail.message - just posted by this very user
        message, user = message.sudo(), self.env.user
        return (
            message.message_type == "comment"
            and message.author_id == user.partner_id
            and user.id != SUPERUSER_ID
            and user._is_internal()
            and not self.env["ai.assistant"]._of_partners(message.author_id)
            and not message._filter_empty()
        )

    # -- seats

    def _ai_seat_assistant(self):
        """The conversation's assistant is one of its members: people see it there, and see it typing."""
        self.ensure_one()
        # sudo: discuss.channel - whether the person may use the assistant is checked here
        channel = self.sudo()
        if self.env.uid != SUPERUSER_ID:
            channel.ai_assistant_id._check_usable(self.env.user)
        self._ai_invite(channel.ai_assistant_id)

    def _ai_invite(self, assistant):
        # sudo: discuss.channel - the person may use the assistant, so they may call it in; silently
        channel, partner = self.sudo(), assistant.sudo().partner_id
        seat = [("channel_id", "=", channel.id), ("partner_id", "=", partner.id)]
        if not channel.env["discuss.channel.member"].search_count(seat, limit=1):
            channel._add_members(partners=partner, post_joined_message=False)

    def _ai_adopt(self, assistant):
        """The first assistant that joins becomes the conversation's own; alone with one person, it always answers."""
        self.ensure_one()
        if self.ai_assistant_id:
            return
        values = {"ai_assistant_id": assistant.id}
        if self.channel_type in ("chat", "group") and len(self.channel_member_ids) == 2:
            values["ai_reply_mode"] = "always"
        self.write(values)

    def _ai_forget(self, partner):
        """`partner` has left, and so has its assistant."""
        if not self.exists():
            return
        if self.ai_assistant_id.partner_id == partner:
            self.ai_assistant_id = False

    def _get_allowed_message_partner_ids(self, partner_ids):
        """Assistants that the user may use can be mentioned where they are no members yet, others nowhere."""
        allowed = super()._get_allowed_message_partner_ids(partner_ids)
        assistants = self.env["ai.assistant"]._of_partners(self.env["res.partner"].browse(partner_ids))
        for assistant in assistants:
            # sudo: ai.assistant - its partner's id was given
            partner_id = assistant.sudo().partner_id.id
            callable_here = self.channel_type in MENTIONABLE_TYPES or partner_id in allowed
            if partner_id in allowed:
                allowed.remove(partner_id)
            if callable_here and assistant._is_usable(self.env.user):
                allowed.append(partner_id)
        return allowed

    # -- new conversations

    def _ai_create_conversation(self, assistant):
        """A fresh conversation of the user with `assistant`, named after its first message."""
        # sudo: ai.assistant - usable, as its caller has checked
        assistant = assistant.sudo()
        channel = self._create_group(
            [self.env.user.partner_id.id, assistant.partner_id.id],
            name=self.env._("New chat with %(assistant)s", assistant=assistant.name),
        )
        channel.sudo().ai_auto_name = True
        return channel

    def _ai_name_after(self, message):
        # sudo: discuss.channel - a member's first message names the conversation
        channel = self.sudo()
        if not channel.ai_auto_name:
            return
        text = " ".join(html2plaintext(message.sudo().body, include_references=False).split())
        if text:
            channel.name = text if len(text) <= NAME_LENGTH else f"{text[:NAME_LENGTH].rsplit(' ', 1)[0]}…"
        else:
            channel.ai_auto_name = False
