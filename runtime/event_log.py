"""The engine's `EventLog` over PostgreSQL: one statement stores and announces the events of many runs.

A connection of its own on the host's loop: no thread, no ORM, one round trip. Importing this imports psycopg.
"""

import json
from collections.abc import Sequence

import psycopg

from ..services import wire_v1
from ..services.ports import JournalRow

# A row goes in while its attempt is the newest; the lock makes a takeover wait for it, and it for a takeover, but
# neither for a step (`ai.run._lock_journal`). What was stored by an earlier try, unheard of, is skipped. A payload of
# NOTIFY is limited to 8,000 bytes: 600 ids.
APPEND = """
WITH incoming AS (
    SELECT * FROM unnest(%(run_ids)s::int[], %(attempts)s::int[], %(seqs)s::int[], %(payloads)s::text[])
                  AS row(run_id, attempt, seq, payload)
), owned AS (
    SELECT id, attempt FROM ai_run
     WHERE (id, attempt) IN (SELECT run_id, attempt FROM incoming) AND state = 'running'
     ORDER BY id FOR KEY SHARE
), stored AS (
    INSERT INTO ai_run_event (run_id, attempt, seq, payload, create_date)
    SELECT run_id, incoming.attempt, seq, payload::jsonb, now() AT TIME ZONE 'UTC'
      FROM incoming JOIN owned ON owned.id = run_id AND owned.attempt = incoming.attempt
    ON CONFLICT (run_id, seq) DO NOTHING
)
SELECT array_agg(id), pg_notify('ai_discuss_run', json_agg(id)::text)
  FROM (SELECT id, row_number() OVER () / 600 AS part FROM owned) AS announced GROUP BY part
"""


class EventLog:
    """The journal's table of one database (`ports.EventLog`)."""

    def __init__(self, conninfo: str):
        self._conninfo = conninfo
        self._connection: psycopg.AsyncConnection | None = None

    async def append(self, rows: Sequence[JournalRow]) -> set[int]:
        run_ids = [row.run_id for row in rows]
        values = {
            "run_ids": run_ids,
            "attempts": [row.attempt for row in rows],
            "seqs": [row.seq for row in rows],
            "payloads": [json.dumps(wire_v1.encode(row.event)) for row in rows],
        }
        connection = await self._connected()
        try:
            cursor = await connection.execute(APPEND, values)
            owned = [run_id for ids, _notified in await cursor.fetchall() for run_id in ids]
        except BaseException:  # its state is unknown, also after a cancellation
            await self.aclose()
            raise
        return set(run_ids).difference(owned)

    async def aclose(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _connected(self) -> psycopg.AsyncConnection:
        if self._connection is None or self._connection.closed:
            self._connection = await psycopg.AsyncConnection.connect(self._conninfo, autocommit=True)
        return self._connection
