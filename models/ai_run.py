"""A run: one reply of an assistant, from the request to its end. Here are its record and its transitions.

Whoever asks only creates it (`_request`); a host executes it (`runtime.host`) and writes through `runtime.store`;
what people may do with it is in `ai_run_control`, what they see of it in `ai_run_telling`, what it consumes in
`ai_run_usage`, and what becomes of it without a host in `ai_run_takeover`. Every write of a host is fenced:
it holds the run's row, and its attempt is the newest.
"""

from odoo import api, fields, models
from odoo.exceptions import AccessError, ConcurrencyError
from odoo.tools import mute_logger
from psycopg2.errors import UniqueViolation

from ..runtime import queue
from ..services import states, wire_v1
from ..services.errors import Fenced
from ..services.messages import ToolResult, to_wire
from ..services.states import RUN_ENDS, RunState, ToolCallState

STATES = [
    (RunState.QUEUED.value, "Queued"),
    (RunState.RUNNING.value, "Running"),
    (RunState.WAITING.value, "Waiting for approval"),
    (RunState.DONE.value, "Done"),
    (RunState.ERROR.value, "Failed"),
    (RunState.CANCELLED.value, "Cancelled"),
]
MANAGERS = "ai_discuss.group_ai_manager"
STOPPED = "Cancelled: the run was stopped."


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
    def _request(self, channel, assistant, message, idempotency_key=None, **links):
        """Create the run that answers `message` and enqueue it, in the caller's transaction; the caller acts in it. The
        `links` relate it to earlier runs.

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
        values = self._request_values(channel, assistant, message) | links
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

    @api.autovacuum
    def _gc_jobs(self):
        queue.purge(self.env.cr)

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
