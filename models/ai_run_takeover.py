"""Runs whose host is gone, or does not do what it should: others go on with them, or end them.

All of it is done by whoever comes across it: the sweep of any host, the cron, a person who stops a run. The row is
held first, then the job is ended; what the host still writes, if it lives, is fenced.
"""

import logging
from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import ConcurrencyError
from odoo.tools import SQL, config

from ..runtime import host, queue
from ..runtime.database import is_outage
from ..services.errors import HostsLost
from ..services.states import RunState

MAX_LOST_HOSTS = 5  # of one run, which may itself be what ends them: by what its tools return, say
STOP_PATIENCE_S = 2  # for its host to end a run that was stopped; then others do

_logger = logging.getLogger(__name__)


class AiRun(models.Model):
    _inherit = "ai.run"

    hosts_lost = fields.Integer(
        readonly=True, help="How many attempts have ended with their host, or were given up by it, and not the run."
    )

    @api.model
    def _cron_sweep(self):
        """The last resort where no host lives: lost runs go back into the queue, and this process becomes a host where
        it may be one. (Not in a prefork server: what runs crons there serves no requests and is soon recycled.)"""
        self._take_over_lost()
        self._expire_approvals()
        if not config["workers"]:
            host.ensure(self.env.cr.dbname)

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
