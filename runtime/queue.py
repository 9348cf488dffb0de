"""The queue of runs: procrastinate's schema in Odoo's own database, and what is done with it on Odoo's cursor.

Enqueuing is an ordinary insert in the caller's transaction. Fetching, heartbeats and finishing belong to
procrastinate's worker (see `worker`). A job is never retried: every further attempt of a run is a new job with the
attempt's number.
"""

import importlib.util
import json
import logging
from pathlib import Path

from odoo.exceptions import UserError
from odoo.tools import SQL

_logger = logging.getLogger(__name__)

QUEUE = "ai_discuss"
TASK = "ai_discuss.run"
VERSION_PARAMETER = "ai_discuss.queue_schema"  # the last migration of procrastinate's that the schema includes
DATABASE_PARAMETER = "ai_discuss.database_uuid"  # the database whose runs these are; a copy's own uuid differs
FIRST_ATTEMPT_PRIORITY = 0
NEXT_ATTEMPT_PRIORITY = 10  # a run that had begun goes on before later messages of its channel
HEARTBEAT_S = 3
CLOSED_AFTER_S = 4.5  # without a heartbeat, and without the connection that a living worker keeps: it was killed
STALLED_AFTER_S = 10  # without a heartbeat: it is frozen, or cut off
FORGOTTEN_AFTER_S = 60  # a job that is open for so long after its run has ended holds up its channel for nothing
SWEEP_ROWS = 50  # jobs, and runs, that are looked at in one transaction: others wait for it
CONNECTED = 0x61694849  # key of the lock that a worker's connection holds with the worker's id: "aiHI"
KEEP_FINISHED_JOBS_DAYS = 1

# procrastinate wakes workers for new jobs only; the next one of a lock that has become free would wait for the poll
WAKE_TRIGGER = """
CREATE OR REPLACE FUNCTION ai_discuss_wake_queue() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    next_id bigint;
    payload text;
BEGIN
    SELECT id INTO next_id FROM procrastinate_jobs
     WHERE lock = NEW.lock AND status = 'todo' ORDER BY priority DESC, id LIMIT 1;
    IF next_id IS NOT NULL THEN
        payload := json_build_object('type', 'job_inserted', 'job_id', next_id)::text;
        PERFORM pg_notify('procrastinate_queue_v1#' || NEW.queue_name, payload);
        PERFORM pg_notify('procrastinate_any_queue_v1', payload);
    END IF;
    RETURN NEW;
END;
$$;
CREATE OR REPLACE TRIGGER ai_discuss_wake_queue
    AFTER UPDATE OF status ON procrastinate_jobs
    FOR EACH ROW WHEN (OLD.status = 'doing' AND NEW.status <> 'doing' AND NEW.lock IS NOT NULL)
    EXECUTE FUNCTION ai_discuss_wake_queue();
"""


def install(env):
    """Create the schema, or apply the migrations that it lacks; does nothing where it is up to date."""
    parameters = env["ir.config_parameter"].sudo()
    version = parameters.get_param(VERSION_PARAMETER)
    if not version:
        _create_schema(env.cr)
        parameters.set_param(DATABASE_PARAMETER, parameters.get_param("database.uuid"))
    for migration in _migrations():
        if version and migration.name > version:
            _logger.info("Queue schema: applying %s", migration.name)
            env.cr.execute(migration.read_text("utf-8"))
    env.cr.execute(WAKE_TRIGGER)
    if version != newest_version():
        parameters.set_param(VERSION_PARAMETER, newest_version())


def newest_version() -> str:
    """The schema's version that the installed procrastinate works with."""
    return _migrations()[-1].name


def uninstall(env):
    """Drop everything that `install` made."""
    parameters = env["ir.config_parameter"].sudo()
    if not parameters.get_param(VERSION_PARAMETER):
        return
    env.cr.execute("DROP FUNCTION IF EXISTS ai_discuss_wake_queue() CASCADE")
    for kind, name in _schema_objects(env.cr):
        env.cr.execute(SQL("DROP %s IF EXISTS %s CASCADE", SQL(kind), SQL(name)))
    parameters.search([("key", "in", (VERSION_PARAMETER, DATABASE_PARAMETER))]).unlink()


def enqueue(cr, run_id: int, attempt: int, lock: str) -> None:
    """Put an attempt of a run into the queue, in the transaction of `cr`; it starts once that is committed."""
    priority = FIRST_ATTEMPT_PRIORITY if attempt == 1 else NEXT_ATTEMPT_PRIORITY
    cr.execute(
        """
        SELECT procrastinate_defer_jobs_v1(
            ARRAY[ROW(%s, %s, %s, %s, NULL, %s::jsonb, NULL)::procrastinate_job_to_defer_v1]
        )
        """,
        [QUEUE, TASK, priority, lock, json.dumps({"run_id": run_id, "attempt": attempt})],
    )


def cancel(cr, run_id: int) -> None:
    """Take a run's jobs out of the queue; the host of one that is being executed is told at commit."""
    cr.execute(
        """
        SELECT procrastinate_cancel_job_v1(id, true, false) FROM procrastinate_jobs
         WHERE task_name = %s AND status IN ('todo', 'doing') AND args @> %s::jsonb
        """,
        [TASK, json.dumps({"run_id": run_id})],
        log_exceptions=False,  # a host that begins or ends the job meanwhile is no error: the transaction begins anew
    )


def find_lost(cr) -> list[int]:
    """Runs with a job whose worker is gone, or has forgotten it: where procrastinate hears at the same moment of a job
    and that it is to be aborted, it never ends it. Nothing is locked: whoever takes a run over holds it first."""
    cr.execute(SQL(
        """
        SELECT (job.args->>'run_id')::int FROM procrastinate_jobs job
     LEFT JOIN procrastinate_workers worker ON worker.id = job.worker_id
         WHERE job.status = 'doing' AND job.task_name = %s AND (%s OR (
            SELECT finished_at FROM ai_run WHERE id = (job.args->>'run_id')::int
         ) < now() AT TIME ZONE 'UTC' - make_interval(secs => %s)) LIMIT %s
        """,
        TASK, _is_gone(CLOSED_AFTER_S, STALLED_AFTER_S), FORGOTTEN_AFTER_S, SWEEP_ROWS,
    ))  # fmt: skip
    return [run_id for (run_id,) in cr.fetchall()]


def attended() -> SQL:
    """A query of the runs that are executed now or will be: they have a job."""
    return SQL(
        "SELECT (args->>'run_id')::int FROM procrastinate_jobs"
        " WHERE status IN ('todo', 'doing') AND task_name = %s", TASK
    )  # fmt: skip


def is_lost(cr, run_id: int) -> bool:
    """Whether a run that is being executed has no host any more. For who stops it: a host that has just lost its
    connection counts as gone, because nobody else could go on."""
    cr.execute(SQL(
        """
        SELECT FROM procrastinate_jobs job LEFT JOIN procrastinate_workers worker ON worker.id = job.worker_id
         WHERE job.status IN ('todo', 'doing') AND job.task_name = %s AND (job.args->>'run_id')::int = %s
           AND NOT (job.status = 'doing' AND %s)
        """,
        TASK, run_id, _is_gone(0, 2 * HEARTBEAT_S),
    ))  # fmt: skip
    return not cr.rowcount


def abandon(cr, run_id: int) -> int | None:
    """Mark the job that executes a run as failed, and tell its worker, in case it lives, to let go. Returns the job's
    attempt. The caller holds the run."""
    doing = SQL("status = 'doing' AND task_name = %s AND (args->>'run_id')::int = %s", TASK, run_id)
    asked = SQL("UPDATE procrastinate_jobs SET abort_requested = true WHERE %s", doing)
    cr.execute(asked, log_exceptions=False)  # as in `cancel`
    cr.execute(SQL(
        """
        UPDATE procrastinate_jobs SET status = 'failed', abort_requested = false
         WHERE %s RETURNING (args->>'attempt')::int
        """,
        doing,
    ))  # fmt: skip
    return next((attempt for (attempt,) in cr.fetchall()), None)


def purge(cr) -> None:
    """Delete jobs that ended long ago."""
    cr.execute(
        """
        DELETE FROM procrastinate_jobs job
         WHERE status NOT IN ('todo', 'doing')
           AND NOT EXISTS (
               SELECT FROM procrastinate_events event
                WHERE event.job_id = job.id AND event.at > now() - make_interval(days => %s)
           )
        """,
        [KEEP_FINISHED_JOBS_DAYS],
    )


def _is_gone(closed_after: float, silent_after: float) -> SQL:
    """Whether `worker` is gone: silent for so many seconds, or for fewer where its connection is closed, too."""
    return SQL(
        """
        (worker.id IS NULL
         OR worker.last_heartbeat < now() - make_interval(secs => %s)
         OR worker.last_heartbeat <= now() - make_interval(secs => %s) AND NOT EXISTS (
            SELECT FROM pg_locks
             WHERE locktype = 'advisory' AND classid = %s AND objid = worker.id
               AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
         ))
        """,
        silent_after, closed_after, CONNECTED,
    )  # fmt: skip


def _create_schema(cr) -> None:
    cr.execute("SELECT to_regclass('procrastinate_jobs')")
    if cr.fetchone()[0]:
        raise UserError(
            "This database already contains a procrastinate queue of another application. "
            "Remove its tables (procrastinate_*) before you install AI Assistants for Discuss."
        )
    cr.execute((_package() / "sql" / "schema.sql").read_text("utf-8"))


def _schema_objects(cr):
    """What a procrastinate schema consists of, as (kind, qualified name): tables, then functions, then types."""
    cr.execute(r"""
        SELECT 'TABLE', format('%I.%I', schemaname, tablename) FROM pg_tables
         WHERE tablename LIKE 'procrastinate\_%' AND schemaname = current_schema()
        UNION ALL
        SELECT 'FUNCTION', oid::regprocedure::text FROM pg_proc
         WHERE proname LIKE 'procrastinate\_%' AND pronamespace = current_schema()::regnamespace
        UNION ALL
        SELECT 'TYPE', oid::regtype::text FROM pg_type
         WHERE typname LIKE 'procrastinate\_%' AND typnamespace = current_schema()::regnamespace
           AND typtype IN ('c', 'e') AND typrelid NOT IN (SELECT oid FROM pg_class WHERE relkind = 'r')
    """)
    return cr.fetchall()


def _migrations() -> list[Path]:
    """procrastinate's own migrations, in the order in which they apply."""
    return sorted((_package() / "sql" / "migrations").glob("*.sql"))


def _package() -> Path:
    # found without importing it: an import costs a second, and an upgrade of Odoo needs only the SQL
    return Path(importlib.util.find_spec("procrastinate").origin).parent
