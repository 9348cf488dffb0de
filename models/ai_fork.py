"""A conversation that goes on from a point of another one, beside it: a copy of what was said up to there.

What is copied is said already: nobody is notified, no tool is called, and it counts against no budget.
"""

from odoo import fields, models
from odoo.exceptions import UserError
from odoo.fields import Command

from ..services.states import ToolCallState

MAX_MESSAGES = 1_000  # of a conversation, the newest; a model reads no more of them anyway
NOT_MADE = "Cancelled: the conversation was copied before the call was made."
CONSUMED = dict.fromkeys(("cached_tokens", "cost", "input_tokens", "output_tokens"), 0)


class AiRun(models.Model):
    _inherit = "ai.run"

    is_copy = fields.Boolean(
        "Is a Copy", readonly=True, copy=False, help="The reply was copied with its conversation: here it cost nothing."
    )

    def _fork(self, channel, messages, files):
        """Copy these runs, which have ended, into `channel` with their calls. Its user is the one who asked, there:
        they go on from it with their own rights. `messages` and `files` are the copies by id."""
        copies = self.create([run._fork_values(channel, messages) for run in self])
        self.env["ai.tool.call"].create([
            call._fork_values(copy, files) for run, copy in zip(self, copies, strict=True) for call in run.tool_call_ids
        ])
        by_id = dict(zip(self.ids, copies, strict=True))
        for run, copy in by_id.items():
            copy.continues_run_id = by_id.get(self.browse(run).continues_run_id.id)
        return copies

    def _fork_values(self, channel, messages):
        [values] = self.copy_data({
            **CONSUMED,
            "channel_id": channel.id,
            "company_id": self.env.company.id,
            "company_ids": self.env.companies.ids,
            "continues_run_id": False,
            "idempotency_key": False,
            "is_copy": True,
            "is_replaced": False,
            "message_id": messages[self.message_id.id].id,
            "replaces_run_id": False,
            "state": self.state,
            "trigger_message_id": messages.get(self.trigger_message_id.id, self.trigger_message_id.browse()).id,
            "user_id": self.env.uid,
        })
        return values


class AiToolCall(models.Model):
    _inherit = "ai.tool.call"

    def _fork_values(self, run, files):
        [values] = self.copy_data({
            "attachment_ids": [Command.link(files[file.id].id) for file in self.attachment_ids],
            "message_id": run.message_id.id,
            "parts": [_moved(part, files) for part in self.parts or ()],
            "run_id": run.id,
            "state": self.state,
        })
        if self.is_open:
            values |= {"state": ToolCallState.CANCELLED.value, "response": NOT_MADE, "is_error": True}
        return values


class MailMessage(models.Model):
    _inherit = "mail.message"

    def _ai_fork(self, channel):
        """Copy these messages, oldest first, into `channel`: with their authors, dates and files, and with the runs
        that made the replies among them. With sudo."""
        files = self._ai_fork_files(channel)
        copies = self.create([message._ai_fork_values(channel, files) for message in self])
        messages = dict(zip(self.ids, copies, strict=True))
        for message in self.filtered("parent_id"):
            messages[message.id].parent_id = messages.get(message.parent_id.id)
        self.ai_run_ids.sorted("id")._fork(channel, messages, files)
        return copies

    def _ai_fork_files(self, channel):
        place = {"res_model": channel._name, "res_id": channel.id, "access_token": False}
        files = self.attachment_ids | self.tool_call_ids.attachment_ids
        return {file.id: file.with_prefetch().copy(place) for file in files}  # one content in memory at a time

    def _ai_fork_values(self, channel, files):
        return {
            "attachment_ids": [Command.link(files[file.id].id) for file in self.attachment_ids],
            "author_guest_id": self.author_guest_id.id,
            "author_id": self.author_id.id,
            "body": self.body,
            "date": self.date,
            "email_from": self.email_from,
            "message_type": self.message_type,
            "model": channel._name,
            "reply_to": self.reply_to,
            "res_id": channel.id,
            "subtype_id": self.subtype_id.id,
        }


class DiscussChannel(models.Model):
    _inherit = "discuss.channel"

    def ai_fork(self, message_id):
        """Go on from this message in a new conversation of the caller and the assistant. The id of its channel."""
        self.ensure_one()
        self.check_access("read")
        messages = self._ai_messages_up_to(message_id)
        # sudo: discuss.channel, ai.run - which assistant it is; whether the caller may use it is checked next
        assistant = self.sudo().ai_assistant_id or messages.ai_run_ids[:1].assistant_id
        if not assistant:
            raise UserError(self.env._("There is no assistant in this conversation."))
        assistant.sudo(False)._check_usable(self.env.user)
        channel = self._ai_create_conversation(assistant.sudo(False))
        # sudo: discuss.channel - which tools are off, to stay so
        channel.sudo().ai_disabled_tool_ids = self.sudo().ai_disabled_tool_ids
        channel.name = self.env._("%(conversation)s (fork)", conversation=self.display_name)
        # sudo: mail.message - the caller can read the conversation, and may begin one of their own
        copies = messages._ai_fork(channel.sudo())
        channel._ai_show_as_read(copies[-1])
        return channel.id

    def _ai_messages_up_to(self, message_id):
        """What was said here up to this message, oldest first and with sudo: without what was deleted or replaced."""
        # sudo: mail.message - of a conversation that the caller can read
        messages = self.env["mail.message"].sudo().search([
            ("model", "=", self._name),
            ("res_id", "=", self.id),
            ("message_type", "=", "comment"),
            ("id", "<=", message_id),
        ], order="id desc", limit=MAX_MESSAGES)
        kept = messages.filtered(
            lambda message: not message._ai_is_deleted()
            and (message.id == message_id or not any(message.ai_run_ids.mapped("is_replaced")))
        )
        if message_id not in kept.ids:
            raise UserError(self.env._("There is no such message in this conversation."))
        return kept.sorted("id")

    def _ai_show_as_read(self, message):
        """The caller knows this conversation up to `message`."""
        member = self.self_member_id
        member._set_last_seen_message(message, notify=False)
        member._set_new_message_separator(message.id + 1)


def _moved(part, files):
    """A part of a result, with the copy of its file."""
    if "attachment_id" not in part:
        return part
    file = files.get(part["attachment_id"])
    return {**part, "attachment_id": file.id if file else False}
