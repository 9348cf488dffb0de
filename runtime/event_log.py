"""The engine's `EventLog` over PostgreSQL: one statement stores and announces the events of many runs.

A connection of its own on the host's loop: no thread, no ORM, one round trip. Importing this imports psycopg.
"""

import json
from collections.abc import Sequence

import psycopg

from ..services import wire_v1
from ..services.ports import JournalRow
from . import JOURNAL_CHANNEL

# A row goes in while its attempt is the newest; the lock makes a takeover wait for it, and it for a takeover, but
# neither for a step (`ai.run._lock_journal`). What was stored by an earlier try, unheard of, is skipped. A payload of
# NOTIFY is limited to 8,000 bytes: 600 ids. The runs are found by their keys alone, whatever the planner believes.
APPEND = """
WITH run AS MATERIALIZED (
    SELECT id, attempt, state FROM ai_run WHERE id = ANY(%(run_ids)s::int[]) ORDER BY id FOR KEY SHARE
), incoming AS MATERIALIZED (
    SELECT new.* FROM json_to_recordset(%(rows)s::json) AS new(run_id int, attempt int, seq int, payload jsonb)
      JOIN run ON run.id = new.run_id AND run.attempt = new.attempt AND run.state = 'running'
), stored AS (
    INSERT INTO ai_run_event (run_id, attempt, seq, payload, create_date)
    SELECT run_id, attempt, seq, payload, now() AT TIME ZONE 'UTC' FROM incoming
    ON CONFLICT (run_id, seq) DO NOTHING
)
SELECT array_agg(run_id), pg_notify(%(channel)s, json_agg(run_id)::text)
  FROM (SELECT run_id, row_number() OVER () / 600 AS part FROM incoming GROUP BY run_id) AS announced GROUP BY part
"""


class EventLog:
    """The journal's table of one database (`ports.EventLog`)."""

    def __init__(self, conninfo: str):
        self._conninfo = conninfo
        self._connection: psycopg.AsyncConnection | None = None

    async def append(self, rows: Sequence[JournalRow]) -> set[int]:
        run_ids = {row.run_id for row in rows}
        # one text for all rows: psycopg takes several times as long to adapt an array of them
        values = {
            "channel": JOURNAL_CHANNEL,
            "run_ids": f"{{{','.join(map(str, run_ids))}}}",
            "rows": json.dumps([
                {"run_id": row.run_id, "attempt": row.attempt, "seq": row.seq, "payload": wire_v1.encode(row.event)}
                for row in rows
            ]),
        }
        connection = await self._connected()
        try:
            cursor = await connection.execute(APPEND, values)
            stored = [run_id for ids, _notified in await cursor.fetchall() for run_id in ids]
        except BaseException:  # its state is unknown, also after a cancellation
            await self.aclose()
            raise
        return run_ids.difference(stored)

    async def aclose(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _connected(self) -> psycopg.AsyncConnection:
        if self._connection is None or self._connection.closed:
            self._connection = await psycopg.AsyncConnection.connect(self._conninfo, autocommit=True)
        return self._connection
