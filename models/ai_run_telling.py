"""What is told of a run: its reply, its state on every open tab, and its frames once the journal is gone."""

from markupsafe import Markup
from odoo import SUPERUSER_ID, models
from odoo.addons.mail.tools.discuss import Store
from odoo.fields import Command

from ..services import wire_v1
from ..services.events import Chunk, Failed, Reasoning, RoundEnded, RunFinished, RunStarted
from ..services.messages import TEXT_SEPARATOR, join_texts
from ..services.states import RunState
from ..services.transcript import decode_turn


class AiRun(models.Model):
    _inherit = "ai.run"

    def _post_reply(self, state):
        """The reply as a message of the assistant: what was said, and why it is not more where it isn't."""
        from ..services import markdown

        channel = self.channel_id
        remote_images = self.env["res.config.settings"]._ai_remote_images()
        body = Markup(markdown.to_html(self.text, remote_images)) if self.text else Markup()
        if self.error_message:
            body += Markup('<p class="o_ai_error text-danger">%s</p>') % self.error_message
        if state == RunState.CANCELLED and self.stopped_by and (body or self.tool_call_ids):
            body += self._stopped_note()
        if not body or not channel.active:
            return self.env["mail.message"]
        return channel.with_user(SUPERUSER_ID).with_context(lang=self.lang or "en_US").message_post(
            author_id=self.assistant_id.partner_id.id,
            body=body,
            message_type="comment",
            subtype_xmlid="mail.mt_comment",
            tool_call_ids=[Command.link(call.id) for call in self.tool_call_ids],
            attachment_ids=self.tool_call_ids._share_files(channel),
        )

    def _notify_typing(self, is_typing):
        """Show or hide that the assistant is typing. Clients forget it after a minute: repeat it while it is true."""
        for run in self:
            # searched for, not taken from the members: a conversation may have thousands
            its_own = [("channel_id", "=", run.channel_id.id), ("partner_id", "=", run.assistant_id.partner_id.id)]
            self.env["discuss.channel.member"].search(its_own)._notify_typing(is_typing)

    def _broadcast(self, store_fields=None):
        """Tell every open tab of the channel's members how these runs are now."""
        for run in self:
            if run.channel_id:
                Store(bus_channel=run.channel_id).add(run, store_fields).bus_send()

    def _to_store_defaults(self, target):
        partner_fields = ["avatar_128", "is_ai_assistant", "name"]
        return [
            *self._store_fields(asker_fields=["name"]),
            Store.One("assistant_partner_id", partner_fields, value=lambda run: run.assistant_id.partner_id),
        ]

    def _store_fields(self, asker_fields=()):
        """What clients know of a run beside who answers; of who asked, as much as is wanted."""
        return [
            Store.One("assistant_id", []),
            Store.One("channel_id", []),
            "error_code",
            "error_message",
            Store.One("message_id", []),
            "state",
            Store.One("trigger_message_id", []),
            Store.One("user_id", [Store.One("partner_id", list(asker_fields))]),
        ]

    # -- what is stored of it

    def _stored_turns(self, shown=()):
        """The model's replies, and the results of their calls by id: (turns, results); with the images of the calls
        that are `shown`."""
        self.ensure_one()
        turns = tuple(map(decode_turn, self.transcript or ()))
        return turns, {
            call.call_id: call._result(with_images=call in shown) for call in self.tool_call_ids if not call.is_open
        }

    def _told_text(self):
        """What the model has said, as the loop joins it: in its complete rounds, and in one that broke off."""
        turns = self._stored_turns()[0]
        told = join_texts(turn.message.text for turn in turns)
        broken_off = self.env["ai.run.event"]._told_in_round(self, len(turns) + 1)
        return told + broken_off  # which begins with the separator

    def _journal_from_records(self):
        """The frames of an ended run whose journal has been purged, as (seq, payload)."""
        self.ensure_one()
        events = [self._started_event(), *self._told_events(), *self._last_events()]
        return [(seq, wire_v1.encode(event)) for seq, event in enumerate(events, 1)]

    def _started_event(self):
        return RunStarted(self.id, RunState.QUEUED)

    def _told_events(self):
        calls = {call.call_id: call for call in self.tool_call_ids}
        told = ""
        for round, turn in enumerate(self._stored_turns()[0], 1):
            if turn.message.reasoning:
                yield Reasoning(turn.message.reasoning)
            if turn.message.text:
                piece = f"{TEXT_SEPARATOR}{turn.message.text}" if told else turn.message.text
                told += piece
                yield Chunk(piece)
            recorded = [calls[call.id] for call in turn.message.tool_calls if call.id in calls]
            yield from (call._started_event() for call in recorded)
            yield RoundEnded(round, turn.finish_reason)
            yield from (call._finished_event() for call in recorded if not call.is_open)
        if self.text and self.text.startswith(told) and len(self.text) > len(told):
            yield Chunk(self.text[len(told):])

    def _last_events(self):
        if self.error_code:
            yield Failed(self.error_code, self.error_message or "")
        yield RunFinished(self.id, self.message_id.id or None, RunState(self.state), self.rounds, self._usage())
