"""How the runs of a database are doing, in one line: for monitoring, a container's health check, systemd and the log.

A few rows, read over a connection of its own. It imports nothing of ours: `odoo-bin ai_runner --health` loads this file
alone, because the package takes a second.
"""

from contextlib import closing
from dataclasses import dataclass, field

import psycopg2
from odoo.sql_db import connection_info_for

PATIENCE_S = 5
SILENT_AFTER_S = 10  # a host without a heartbeat for so long is gone; the queue's own limit
STUCK_AFTER_S = 60  # no run that could begin waits as long as that while hosts begin none at all

# "Could begin": no other run of its conversation is being executed.
LOOK = """
SELECT (SELECT count(*) FROM procrastinate_workers
         WHERE last_heartbeat > now() - make_interval(secs => %s)),
       (SELECT count(*) FROM ai_run WHERE state = 'running'),
       (SELECT count(*) FROM ai_run WHERE state = 'queued'),
       (SELECT count(*) FROM ai_run WHERE state = 'waiting'),
       (SELECT extract(epoch FROM now() - min(event.at))::float
          FROM procrastinate_jobs job
          JOIN procrastinate_events event ON event.job_id = job.id AND event.type = 'deferred'
         WHERE job.queue_name = 'ai_discuss' AND job.status = 'todo'
           AND NOT EXISTS (SELECT FROM procrastinate_jobs other
                            WHERE other.lock = job.lock AND other.status = 'doing')),
       (SELECT extract(epoch FROM now() - at)::float FROM procrastinate_events
         WHERE type = 'started' ORDER BY id DESC LIMIT 1)
"""


@dataclass(frozen=True, slots=True)
class Health:
    """What there is to say. Two are equal where only time has passed."""

    problem: str = ""  # what is wrong; empty where all is well
    hosts: int | None = None  # None: nothing of all this could be read
    running: int = 0
    queued: int = 0
    waiting: int = 0  # for a person's decision
    oldest_s: float | None = field(default=None, compare=False)  # since when a run could begin

    def __str__(self) -> str:
        if self.hosts is None:
            return self.problem
        oldest = "" if self.oldest_s is None else f" (oldest {self.oldest_s:.1f} s)"
        return (
            f"{self.problem or 'ok'}: {self.hosts} host{_s(self.hosts)}, "
            f"{self.running} run{_s(self.running)} running, "
            f"{self.queued} queued{oldest}, {self.waiting} waiting for approval"
        )


def _s(number: int) -> str:
    return "" if number == 1 else "s"


def look(db_name: str) -> Health:
    """See how the runs of a database are doing, within some seconds and without an exception."""
    try:
        found = _look(db_name)
    except psycopg2.errors.UndefinedTable:
        return Health("AI Assistants for Discuss is not installed there")
    except psycopg2.Error as error:
        return Health(f"the database cannot be read ({str(error).strip().splitlines()[0]})")
    hosts, running, queued, waiting, oldest_s, begun_s = found
    problem = ""
    if not hosts:
        problem = "no host is alive"
    elif oldest_s is not None and min(oldest_s, begun_s or oldest_s) > STUCK_AFTER_S:  # where all are full, it waits
        problem = "no host begins a run"
    return Health(problem, hosts, running, queued, waiting, oldest_s)


def _look(db_name: str) -> tuple:
    info = {"connect_timeout": PATIENCE_S, **connection_info_for(db_name)[1]}
    connection = psycopg2.connect(**info, options=f"-c statement_timeout={PATIENCE_S}s")
    with closing(connection), connection.cursor() as cr:
        cr.execute(LOOK, [SILENT_AFTER_S])
        return cr.fetchone()
