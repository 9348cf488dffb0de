"""What people may do with a run: stop it, and decide on its calls. All of it may be done twice; once counts.

Who may: the one who asked, and managers of assistants who can see the conversation.
"""

from markupsafe import Markup
from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.fields import Domain

from ..runtime import queue
from ..services.states import RUN_ENDS, RunState, ToolCallState
from .ai_run import MANAGERS

EXPIRED_AT_ONCE = 100  # calls in one transaction, which keeps whoever decides on them waiting


class NotWaiting(UserError):
    """The call does not wait for a decision, and nobody has made one."""


class AiRun(models.Model):
    _inherit = "ai.run"

    stop_requested = fields.Boolean(readonly=True, help="Somebody wants the run to end; its host will see to it.")
    stopped_by = fields.Many2one(
        "res.users", readonly=True, ondelete="set null", help="Who wanted the run to end before it was complete."
    )
    stopped_at = fields.Datetime(readonly=True, help="When somebody wanted the run to end.")
    can_stop = fields.Boolean(compute="_compute_can_stop", help="Whether you may stop the run now.")
    waiting_call_ids = fields.One2many(
        "ai.tool.call", "run_id", "Waiting for a Decision", readonly=True,
        domain=[("state", "=", ToolCallState.APPROVAL.value)],
        help="The calls that are made only if somebody approves of them.",
    )

    @api.depends("state", "user_id")
    @api.depends_context("uid")
    def _compute_can_stop(self):
        for run in self:
            run.can_stop = run.state not in RUN_ENDS and run._is_controllable()

    def action_stop(self):
        """End the run; what was said so far is kept."""
        self._stop()

    @api.model
    def _stop_in(self, channel):
        """Stop the runs of `channel` that the caller may stop; they are returned, with sudo."""
        active = Domain("channel_id", "=", channel.id) & Domain("finished_at", "=", False)
        # sudo: ai.run - the caller reaches only those that are theirs to stop
        runs = self.sudo().search(active, order="id").filtered(lambda run: run.sudo(False)._is_controllable())
        for run in runs:
            run.sudo(False)._stop()
        return runs

    def _stop(self):
        """End the run as soon as possible; what was said so far is kept. Does nothing to a run that has ended."""
        run = self._controlled()
        run._lock()
        if run.state in RUN_ENDS:
            return
        is_lost = run.state == RunState.RUNNING and queue.is_lost(self.env.cr, run.id)
        queue.cancel(self.env.cr, run.id)
        if not run.stop_requested:
            run.write({"stop_requested": True, "stopped_by": self.env.uid, "stopped_at": fields.Datetime.now()})
        if run.state != RunState.RUNNING:
            run._finish(RunState.CANCELLED)
        elif is_lost:  # else the queue tells its host
            run._take_over()

    def _decide(self, call_id, approved, arguments=None, always=False):
        """Say whether a call that waits for approval may run; the last decision lets the run go on. A decision that was
        already made stands. Who approves may do so with other `arguments`, and of the tool for `always`.

        Raises:
            UserError: the run has no such call, or it cannot be made with these arguments.
            NotWaiting: there is nothing to decide about it.
        """
        run = self._controlled()
        run._lock()
        call = run.tool_call_ids.filtered(lambda call: call.call_id == call_id)
        if not call:
            raise UserError(self.env._("This run has no such tool call."))
        if call.decided_at:
            return
        if call.state != ToolCallState.APPROVAL:
            raise NotWaiting(run._why_nothing_waits())
        if approved:
            if arguments is not None:
                call._change_arguments(arguments)
            if always:
                self.env["ai.approval.rule"]._allow(call)
            call._approve()
        else:
            text = f"Denied by {self.env.user.name}. Do not repeat the call; go on without it, or ask what to do."
            call._deny(text, self.env.user)
        run._take_decisions()

    @api.model
    def _expire_approvals(self):
        """Deny the calls about which nobody has decided in time. For hosts and the cron."""
        now = fields.Datetime.now()
        # runs that somebody else has a hand on have their turn next time
        self.env.cr.execute(
            """
            SELECT id FROM ai_run WHERE id = ANY(ARRAY(
                SELECT run_id FROM ai_tool_call WHERE state = 'approval' AND expires_at <= %s LIMIT %s
            )) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
            """,
            [now, EXPIRED_AT_ONCE],
            log_exceptions=False,  # a conflict is no error: the transaction begins anew
        )
        for run in self.browse(row[0] for row in self.env.cr.fetchall()):
            for call in run.waiting_call_ids.filtered(lambda call: call.expires_at and call.expires_at <= now):
                call._expire()
            run._take_decisions()

    def _take_decisions(self):
        """Tell what was decided about calls of the run; the last decision lets it go on."""
        self._mark_changed()
        if self.state == RunState.WAITING:
            self._report(self._calls_in(ToolCallState.DENIED))
        self._resume()

    def _why_nothing_waits(self):
        if self.state in RUN_ENDS:
            return self.env._("This reply has ended: none of its tool calls waits for a decision any more.")
        return self.env._("This tool call does not wait for a decision.")

    def _is_controllable(self):
        """Whether the caller may stop the run and decide on its calls."""
        self.ensure_one()
        # sudo: ai.run - only the answer leaves this method
        run, user = self.sudo(), self.env.user
        if run.user_id == user:
            return True
        where = run.channel_id or run  # a request without a conversation is seen by the managers of its company
        return user.has_group(MANAGERS) and where.with_user(user).sudo(False).has_access("read")

    def _controlled(self):
        """The run with sudo, for those who control it."""
        if not self._is_controllable():
            raise AccessError(self.env._("Only the person who asked, or a manager of assistants, may do this."))
        # sudo: ai.run - just checked
        return self.sudo()

    def _stopped_note(self):
        """What stands below a reply that somebody has stopped. For people: the model never reads it."""
        run = self.with_context(lang=self.lang or "en_US")
        note = run.env._("Stopped by %(name)s.", name=run.stopped_by.name)
        return Markup('<p class="o_ai_stopped text-muted">%s</p>') % note
