"""The journal of runs: what happened, in order, for whoever watches. News, not state: a run never reads it to decide.

Written by the host in group commits (see `runtime.store`) and, for the last events of a run, in the transaction that
ends it. Read by `runtime.tail`.
"""

import json

from odoo import api, fields, models
from odoo.exceptions import ConcurrencyError
from odoo.tools import mute_logger
from psycopg2.errors import UniqueViolation

from ..runtime import JOURNAL_CHANNEL
from ..services import wire_v1

KEEP_DAYS = 7  # after a run has ended; later its frames are made from its records


class LooseMany2one(fields.Many2one):
    """A link without a foreign key: whoever deletes a run (with its conversation, say) could not delete the events that
    its host stores meanwhile, and would fail. Who writes events checks that there is such a run."""

    def update_db_foreign_key(self, model, column):
        pass


class AiRunEvent(models.Model):
    _name = "ai.run.event"
    _description = "Event of an AI Run"
    _order = "run_id, seq"
    _log_access = False

    run_id = LooseMany2one("ai.run", required=True, readonly=True, ondelete="cascade")
    attempt = fields.Integer(required=True, readonly=True)
    seq = fields.Integer(required=True, readonly=True)
    payload = fields.Json(required=True, readonly=True)
    create_date = fields.Datetime(default=fields.Datetime.now, readonly=True)

    _run_seq_unique = models.UniqueIndex("(run_id, seq)", "An event of a run has its own number.")
    _done_unique = models.UniqueIndex("(run_id) WHERE payload->>'type' = 'done'", "A run ends only once.")

    @api.model
    def _append(self, run, events):
        """Add `events` behind those that `run` has, and announce them at commit. The caller holds the run's row."""
        if not events:
            return
        try:
            with mute_logger("odoo.sql_db"):
                self._insert(run, events)
        except UniqueViolation as error:
            if error.diag.constraint_name != self._run_seq_unique.full_name(self):
                raise
            # the repeated transaction sees them, and is numbered behind them
            raise ConcurrencyError("The run's host has stored events in another transaction.") from error

    @api.model
    def _insert(self, run, events):
        self.env.cr.execute(
            """
            INSERT INTO ai_run_event (run_id, attempt, seq, payload, create_date)
            SELECT %(run)s, %(attempt)s, last.seq + number, payload, now() AT TIME ZONE 'UTC'
              FROM (SELECT coalesce(max(seq), 0) AS seq FROM ai_run_event WHERE run_id = %(run)s) last,
                   jsonb_array_elements(%(payloads)s::jsonb) WITH ORDINALITY AS new(payload, number);
            SELECT pg_notify(%(channel)s, %(runs)s)
            """,
            {
                "run": run.id,
                "attempt": run.attempt,
                "payloads": json.dumps([wire_v1.encode(event) for event in events]),
                "channel": JOURNAL_CHANNEL,
                "runs": json.dumps([run.id]),
            },
        )

    @api.model
    def _told_calls(self, run):
        """The ids of the calls that viewers of `run` know, and of those whose results they know."""
        self.env.cr.execute(
            """
            SELECT array_agg(payload->>'id') FILTER (WHERE payload->>'type' = 'tool_call'),
                   array_agg(payload->>'id') FILTER (WHERE payload->>'type' = 'tool_result')
              FROM ai_run_event WHERE run_id = %s
            """,
            [run.id],
        )
        announced, reported = self.env.cr.fetchone()
        return set(announced or ()), set(reported or ())

    @api.model
    def _told_in_round(self, run, wanted):
        """The text that viewers of `run` were told in a round of the model, as far as none is told after it."""
        self.env.cr.execute(
            """
            SELECT payload->>'type', payload->>'content', (payload->>'round')::int FROM ai_run_event
             WHERE run_id = %s AND payload->>'type' IN ('chunk', 'step', 'restart') ORDER BY seq
            """,
            [run.id],
        )
        round, pieces = 1, []
        for kind, content, number in self.env.cr.fetchall():
            if kind == "chunk":
                pieces.append(content)
            else:
                round, pieces = number + (kind == "step"), []
        return "".join(pieces) if round == wanted else ""

    @api.autovacuum
    def _gc_events(self):
        self.env.cr.execute(
            """
            DELETE FROM ai_run_event event USING ai_run run
             WHERE run.id = event.run_id AND run.finished_at < now() AT TIME ZONE 'UTC' - make_interval(days => %s)
            """,
            [KEEP_DAYS],
        )
        self.env.cr.execute(
            "DELETE FROM ai_run_event event WHERE NOT EXISTS (SELECT FROM ai_run run WHERE run.id = event.run_id)"
        )
