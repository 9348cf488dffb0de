"""A run: one reply of an assistant, from the request to its end. Here are its record and its transitions.

Whoever asks only creates it (`_request`); a host executes it (`runtime.host`) and writes through `runtime.store`;
what people may do with it is in `ai_run_control`, what it consumes in `ai_run_usage`. Every write of a host is fenced:
it holds the run's row, and its attempt is the newest.
"""

import logging
from datetime import timedelta

from markupsafe import Markup
from odoo import SUPERUSER_ID, api, fields, models
from odoo.addons.mail.tools.discuss import Store
from odoo.exceptions import AccessError, ConcurrencyError
from odoo.fields import Command
from odoo.tools import SQL, config, mute_logger
from psycopg2.errors import UniqueViolation

from ..runtime import host, queue
from ..runtime.database import is_outage
from ..services import states, wire_v1
from ..services.errors import Fenced, HostsLost
from ..services.events import (
    Chunk,
    Failed,
    Reasoning,
    RoundEnded,
    RunFinished,
    RunStarted,
)
from ..services.messages import TEXT_SEPARATOR, ToolResult, join_texts, to_wire
from ..services.states import RUN_ENDS, RunState, ToolCallState
from ..services.transcript import decode_turn

STATES = [
    (RunState.QUEUED.value, "Queued"),
    (RunState.RUNNING.value, "Running"),
    (RunState.WAITING.value, "Waiting for approval"),
    (RunState.DONE.value, "Done"),
    (RunState.ERROR.value, "Failed"),
    (RunState.CANCELLED.value, "Cancelled"),
]
MANAGERS = "ai_discuss.group_ai_manager"
_logger = logging.getLogger(__name__)
STOPPED = "Cancelled: the run was stopped."
MAX_LOST_HOSTS = 5  # of one run, which may itself be what ends them: by what its tools return, say
STOP_PATIENCE_S = 2  # for its host to end a run that was stopped; then others do


class AiRun(models.Model):
    _name = "ai.run"
    _description = "AI Run"
    _order = "id desc"

    channel_id = fields.Many2one(
        "discuss.channel", "Conversation", readonly=True, ondelete="cascade", index="btree_not_null",
        help="Empty for a request without a conversation.",
    )
    assistant_id = fields.Many2one(
        "ai.assistant", required=True, readonly=True, ondelete="cascade", index=True, help="Who was asked."
    )
    trigger_message_id = fields.Many2one(
        "mail.message", "Question", readonly=True, ondelete="set null", index="btree_not_null",
        help="The message that the run answers.",
    )
    message_id = fields.Many2one(
        "mail.message", "Reply", readonly=True, ondelete="set null", index="btree_not_null",
        help="The message that the run has posted at its end.",
    )
    # whose rights decide
    user_id = fields.Many2one(
        "res.users", "Asked by", required=True, readonly=True, ondelete="cascade", index=True,
        help="Whose rights the tools are called with.",
    )
    company_id = fields.Many2one(
        "res.company", required=True, readonly=True, ondelete="cascade", help="The company in which it was asked."
    )
    company_ids = fields.Json(
        "Active Companies", readonly=True, help="The companies that were active when the run was requested."
    )
    lang = fields.Char(readonly=True)
    tz = fields.Char(readonly=True)
    idempotency_key = fields.Char(readonly=True, groups=fields.NO_ACCESS)  # its requester's secret
    # how far it came
    state = fields.Selection(
        STATES, required=True, readonly=True, default="queued", index=True, help="How far the run has come."
    )
    attempt = fields.Integer(
        required=True, readonly=True, default=0, help="How often a host has taken the run; only the newest may write."
    )
    started_at = fields.Datetime("Started", readonly=True, help="When it was first taken from the queue.")
    finished_at = fields.Datetime("Finished", readonly=True, help="When it ended, however it ended.")
    error_code = fields.Char("Error", readonly=True, help="The kind of failure, as programs get it over the API.")
    error_message = fields.Char(readonly=True, help="Why the run failed, as people were told.")
    rounds = fields.Integer(readonly=True, help="How often the model was asked.")
    begun_at = fields.Datetime("Taken Last", readonly=True, help="When its newest attempt was taken from the queue.")
    seconds_worked = fields.Float(
        readonly=True,
        help="What its earlier attempts have used of the time that it has. Waiting does not count, nor do attempts "
        "whose host was lost.",
    )
    hosts_lost = fields.Integer(
        readonly=True, help="How many attempts have ended with their host, or were given up by it, and not the run."
    )
    text = fields.Text(readonly=True, help="The reply as the model wrote it.")
    tool_call_ids = fields.One2many(
        "ai.tool.call", "run_id", "Tool Calls", readonly=True, help="The tools that the assistant has called, in order."
    )
    tool_call_count = fields.Integer(compute="_compute_tool_call_count", help="How many calls of tools there were.")
    # what another attempt goes on from
    messages = fields.Json(
        readonly=True, prefetch=False, groups=fields.NO_ACCESS,  # the assistant's prompt is among them
        help="What the model is asked, where that is not the conversation as it is.",
    )
    transcript = fields.Json(readonly=True, prefetch=False, help="The model's replies so far, one per round.")

    _idempotency_unique = models.UniqueIndex(
        "(user_id, channel_id, idempotency_key) WHERE idempotency_key IS NOT NULL", "This request was already made."
    )
    _ended_is_finished = models.Constraint(
        "CHECK ((finished_at IS NOT NULL) = (state IN ('done', 'error', 'cancelled')))", "An ended run has an end."
    )

    def init(self):
        queue.install(self.env)

    @api.depends("tool_call_ids")
    def _compute_tool_call_count(self):
        for run in self:
            run.tool_call_count = len(run.tool_call_ids)

    def _compute_display_name(self):
        for run in self:
            run.display_name = f"#{run.id}"

    def write(self, vals):
        if target := vals.get("state"):
            for run in self.filtered(lambda run: run.state != target):
                states.check_run(run.state, target)
            if target in RUN_ENDS:
                vals = {**vals, "finished_at": fields.Datetime.now()}
        return super().write(vals)

    # -- requesting

    @api.model
    def _request(self, channel, assistant, message, idempotency_key=None):
        """Create the run that answers `message` and enqueue it, in the caller's transaction; the caller acts in it.

        Raises:
            AccessError: the caller may not use the assistant, or is no member of the channel.
            ConcurrencyError: the same request is being made elsewhere; the repeated transaction will find its run.
        """
        assistant._check_usable(self.env.user)
        if not channel.is_member:
            raise AccessError(self.env._("You are not a member of this conversation."))
        if known := self._find_request(channel, idempotency_key):
            return known
        # sudo: ai.run - created only here, for a caller who was just checked
        values = self._request_values(channel, assistant, message)
        run = self.sudo()._create_once({**values, "idempotency_key": idempotency_key or False})
        run._enqueue(attempt=1)
        run.env["ai.run.event"]._append(run, [run._started_event()])  # its viewers know it before a host is free
        # who answers follows once it begins: to describe people takes as long as all the rest, and the poster waits
        run._broadcast(run._store_fields())
        return run.sudo(False)

    def _request_values(self, channel, assistant, message):
        return {
            "channel_id": channel.id,
            "assistant_id": assistant.id,
            "trigger_message_id": message.id,
            "user_id": self.env.uid,
            "company_id": self.env.company.id,
            "company_ids": self.env.companies.ids,
            "lang": self.env.lang or self.env.user.lang,
            "tz": self.env.tz or self.env.user.tz,
        }

    @api.model
    def _find_request(self, channel, idempotency_key):
        """The run that the caller requested with this key in `channel`; empty without a key."""
        if not idempotency_key:
            return self.browse()
        # sudo: ai.run - only the caller's own
        run = self.sudo().search([
            ("user_id", "=", self.env.uid),
            ("channel_id", "=", channel.id),
            ("idempotency_key", "=", idempotency_key),
        ])
        return run.sudo(False)

    def _create_once(self, vals):
        try:
            with mute_logger("odoo.sql_db"):
                return self.create(vals)
        except UniqueViolation as error:
            raise ConcurrencyError("The same request is being made in another transaction.") from error

    def _enqueue(self, attempt):
        self.ensure_one()
        self.env.flush_all()
        lock = f"channel:{self.channel_id.id}" if self.channel_id else f"run:{self.id}"
        queue.enqueue(self.env.cr, self.id, attempt, lock)

    def _acting_env(self):
        """The environment of the one who asked: their rights, companies, language and time zone."""
        self.ensure_one()
        companies = [self.company_id.id, *(id_ for id_ in self.company_ids or () if id_ != self.company_id.id)]
        context = {"allowed_company_ids": companies, "lang": self.lang or "en_US", "tz": self.tz or False}
        return self.env(user=self.user_id.id, su=False, context=context)

    # -- transitions; with sudo, and with the run's row held

    def _lock(self):
        """Hold the row to the end of the transaction, and see it as it is now."""
        self.ensure_one()
        self.flush_recordset()
        # a conflict is no error: the transaction begins anew, and nobody needs to read of it in the log
        query = "SELECT attempt, state FROM ai_run WHERE id = %s FOR NO KEY UPDATE"
        self.env.cr.execute(query, [self.id], log_exceptions=False)
        row = self.env.cr.fetchone()
        if row:
            self.invalidate_recordset()
        return row

    def _mark_changed(self):
        """Let whoever waits for the row begin anew, and see what changes with it: another decision, say. An UPDATE,
        though it changes nothing: only that makes PostgreSQL tell them."""
        self.env.cr.execute("UPDATE ai_run SET state = state WHERE id = %s", [self.id])

    def _hold(self, attempt):
        """Hold the row for its owner.

        Raises:
            Fenced: `attempt` is not the newest, or no longer runs.
        """
        if self._lock() != (attempt, RunState.RUNNING.value):
            raise Fenced

    def _lock_journal(self):
        """Wait for events that are being stored, and let no more in: what comes next is numbered behind them.

        The journal's writer shares the row with everybody who only changes it, so that it never waits for a step.
        """
        self.env.flush_all()
        self.env.cr.execute("SELECT FROM ai_run WHERE id = %s FOR UPDATE", [self.id], log_exceptions=False)

    def _begin(self, attempt):
        """`queued` → `running`; False where there is nothing to do (ended, or a newer attempt)."""
        self.ensure_one()
        row = self._lock()
        if not row or row[1] != RunState.QUEUED or row[0] > attempt:
            return False
        now = fields.Datetime.now()
        self.write({
            "state": RunState.RUNNING.value,
            "attempt": attempt,
            "started_at": self.started_at or now,
            "begun_at": now,
            **self._answering(),
        })
        return True

    def _show_running(self):
        """Show people those of these runs that are being executed; for a while their ends wait, so that none of them is
        shown as running after it has ended."""
        query = "SELECT id FROM ai_run WHERE id = ANY(%s) AND state = 'running' ORDER BY id FOR SHARE"
        self.env.cr.execute(query, [self.ids], log_exceptions=False)
        running = self.browse(row[0] for row in self.env.cr.fetchall())
        running._notify_typing(True)
        running._broadcast()

    def _park(self, messages, outcome):
        """`running` → `waiting`, for decisions; where all have been made meanwhile, straight back into the queue."""
        self.rounds = outcome.rounds
        self._count_work()
        if self.stop_requested:  # its host was parking it, and had no ear for the stop
            self._finish(RunState.CANCELLED)
            return
        # recorded as pending where the tool asks only since then: without its buttons the run would never go on
        undecided = self._calls_in(ToolCallState.PENDING).filtered(
            lambda call: call.call_id in outcome.waiting and not call.decided_at
        )
        undecided.write(undecided._asking_values())
        undecided._broadcast()
        self.write({"state": RunState.WAITING.value, "messages": [wire_v1.storable(to_wire(m)) for m in messages]})
        self._report(self._calls_in(ToolCallState.DENIED))
        self._notify_typing(False)
        self._broadcast()
        self._resume()

    def _count_work(self):
        """Count the time of an attempt that ends before its run does."""
        self.seconds_worked += (fields.Datetime.now() - self.begun_at).total_seconds()

    def _resume(self):
        """`waiting` → `queued` once no call waits for a decision."""
        if self.state == RunState.WAITING and not self._calls_in(ToolCallState.APPROVAL):
            self._requeue()

    def _requeue(self):
        """Back into the queue, for the next attempt; this one is fenced from here on."""
        self._lock_journal()
        self.write({"state": RunState.QUEUED.value, "attempt": self.attempt + 1})
        self._enqueue(self.attempt)
        # that the assistant types is not taken back for so short a time, and who answers is known: a host that ends
        # hands all its runs back within seconds
        self._broadcast(self._store_fields())

    @api.model
    def _cron_sweep(self):
        """The last resort where no host lives: lost runs go back into the queue, and this process becomes a host where
        it may be one. (Not in a prefork server: what runs crons there serves no requests and is soon recycled.)"""
        self._take_over_lost()
        self._expire_approvals()
        if not config["workers"]:
            host.ensure(self.env.cr.dbname)

    @api.autovacuum
    def _gc_jobs(self):
        queue.purge(self.env.cr)

    @api.model
    def _take_over_lost(self):
        """Take runs over from hosts that are gone, or that do not react to a stop. For hosts and the cron; whoever else
        does it at the same time gets others. Returns whether there may be more."""
        found = self._find_lost()
        for run in found - found.exists():  # deleted meanwhile
            queue.abandon(self.env.cr, run.id)
        # a conflict is no error: the transaction begins anew, and nobody needs to read of it in the log
        query = "SELECT id FROM ai_run WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED"
        self.env.cr.execute(query, [found.ids], log_exceptions=False)
        runs = self.browse(row[0] for row in self.env.cr.fetchall())
        runs.invalidate_recordset()
        for run in runs:
            run._take_over_or_end()
        return len(runs) >= queue.SWEEP_ROWS

    @api.model
    def _find_lost(self):
        """Runs whose host is gone, that have no job any more (the database was away when it ended), or that somebody
        has stopped in vain."""
        self.env.flush_all()
        self.env.cr.execute(SQL(
            """
            SELECT id FROM ai_run
             WHERE state IN ('queued', 'running')
               AND (id NOT IN (%s) OR state = 'running' AND stop_requested AND stopped_at < %s)
             LIMIT %s
            """,
            queue.attended(), fields.Datetime.now() - timedelta(seconds=STOP_PATIENCE_S), queue.SWEEP_ROWS,
        ))  # fmt: skip
        stuck = [run_id for (run_id,) in self.env.cr.fetchall()]
        return self.browse({*stuck, *queue.find_lost(self.env.cr)})

    def _take_over_or_end(self):
        """Take the run over. Where that fails, it ends, if need be without a word: it must not hold up all others."""
        try:
            with self.env.cr.savepoint():
                self._take_over()
        except Exception as error:
            if isinstance(error, ConcurrencyError) or is_outage(error):
                raise
            _logger.exception("Run %s: nobody can be told that it failed; it ends without a word", self.id)
            queue.abandon(self.env.cr, self.id)
            self.attempt += 1
            self._end(RunState.ERROR)

    def _take_over(self):
        """Go on with the next attempt, or end the run where it was stopped. Its host, if it wakes up, is fenced."""
        self._lock_journal()
        attempt = queue.abandon(self.env.cr, self.id)
        if self.state not in (RunState.QUEUED, RunState.RUNNING) or (attempt or self.attempt) < self.attempt:
            return
        _logger.warning("Run %s: attempt %s has no host any more", self.id, attempt or self.attempt)
        self.attempt = attempt or self.attempt  # also where the host was lost before it had begun
        self.hosts_lost += 1
        if self.stop_requested:
            self.attempt += 1
            self._finish(RunState.CANCELLED)
        elif self.hosts_lost >= MAX_LOST_HOSTS:
            self.attempt += 1
            text = self.with_context(lang=self.lang or "en_US").env._(
                "The server broke off %(times)s times while it worked on this reply. Try again, or ask for less.",
                times=self.hosts_lost,
            )
            self._finish(RunState.ERROR, error=HostsLost(text))
        else:
            self._requeue()

    def _finish(self, state, text="", error=None):
        """End the run: its reply, its last events, everything that people see, in this one transaction. Where no host
        says what was told (it waits, or its host is gone), the reply is what its rounds have told."""
        self.ensure_one()
        self._close_calls(STOPPED)
        self.write({
            "text": wire_v1.storable(text) or self._told_text() or False,
            "error_code": error.code if error else False,
            "error_message": wire_v1.storable(error.message) if error else False,
        })
        self.message_id = self._post_reply(state)
        self._end(state)

    def _end(self, state):
        self.write({"state": RunState(state).value, "messages": False, "duration": self._seconds_taken()})
        self._lock_journal()
        self.env["ai.run.event"]._append(self, self._last_events())
        self._notify_typing(False)
        self._broadcast()

    @api.model
    def _prepare_deletion(self, channels):
        """Have the runs of `channels` to ourselves before they are deleted with them: a host may be at work on them."""
        self.env.flush_all()
        for query in (
            "SELECT FROM ai_run WHERE channel_id IN %s ORDER BY id FOR UPDATE",
            "SELECT FROM ai_tool_call WHERE run_id IN (SELECT id FROM ai_run WHERE channel_id IN %s) FOR UPDATE",
            "DELETE FROM ai_run_event WHERE run_id IN (SELECT id FROM ai_run WHERE channel_id IN %s)",
        ):
            # a conflict is no error: the request begins anew, and nobody needs to read of it in the log
            self.env.cr.execute(query, [channels._ids], log_exceptions=False)
        # sudo: ir.attachment - files of replies that were never posted; the others go with the conversation
        self.sudo().search([("channel_id", "in", channels.ids)]).tool_call_ids.attachment_ids.unlink()

    def _close_calls(self, reason):
        """Give every call that is still open its result: cancelled. The engine has closed those that it knows; left are
        those of a run that no host executes, and of a reply that was stopped while it was being stored."""
        calls = self.tool_call_ids.filtered(lambda call: call.is_open)
        for call in calls:
            call._end(ToolResult(call.call_id, reason, ToolCallState.CANCELLED))
        calls._broadcast()
        self._report(self.tool_call_ids)

    def _report(self, calls):
        """Tell viewers the results of `calls` that they have not been told. Only where no host is at work on the run:
        that one numbers its events by itself."""
        if not calls:
            return
        announced, reported = self.env["ai.run.event"]._told_calls(self)
        events = []
        for call in calls:
            if call.call_id not in announced:
                events.append(call._started_event())
            if call.call_id not in reported:
                events.append(call._finished_event())
        self.env["ai.run.event"]._append(self, events)

    def _calls_in(self, state):
        return self.tool_call_ids.filtered(lambda call: call.state == state)

    # -- what people see

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
