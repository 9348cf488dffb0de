"""The queue's schema: made, upgraded and removed with the addon. PostgreSQL rolls all of it back after each test."""

from odoo.addons.ai_discuss.runtime import queue
from odoo.exceptions import UserError
from odoo.tests import TransactionCase
from psycopg2.errors import SerializationFailure


class TestQueueSchema(TransactionCase):
    def left(self):
        """What exists of the queue in the database."""
        self.env.cr.execute(r"""
            SELECT relname FROM pg_class WHERE relname LIKE 'procrastinate\_%'
            UNION SELECT proname FROM pg_proc WHERE proname LIKE 'procrastinate\_%' OR proname = 'ai_discuss_wake_queue'
            UNION SELECT typname FROM pg_type WHERE typname LIKE 'procrastinate\_%'
        """)
        return {name for (name,) in self.env.cr.fetchall()}

    def version(self):
        return self.env["ir.config_parameter"].get_param(queue.VERSION_PARAMETER)

    def fetched(self):
        """The arguments of the next job, as a worker gets it."""
        self.env.cr.execute("SELECT worker_id FROM procrastinate_register_worker_v1()")
        (worker_id,) = self.env.cr.fetchone()
        self.env.cr.execute("SELECT id, args FROM procrastinate_fetch_job_v2(%s, %s)", [[queue.QUEUE], worker_id])
        return self.env.cr.fetchone()

    def test_removing_leaves_nothing_and_installing_makes_it_again(self):
        before = self.left()
        queue.uninstall(self.env)
        self.assertEqual(self.left(), set())
        self.assertFalse(self.version())
        queue.install(self.env)
        self.assertEqual(self.left(), before)
        self.assertEqual(self.version(), queue.newest_version())

    def test_installing_again_changes_nothing(self):
        before = self.left()
        queue.install(self.env)
        self.assertEqual(self.left(), before)

    def test_an_older_schema_gets_the_migrations_that_it_lacks(self):
        complete = self.left()
        self.env.cr.execute("DROP FUNCTION procrastinate_retry_job_v2")  # as it was before procrastinate 3.4
        self.env.cr.execute("ALTER TYPE procrastinate_job_event_type RENAME VALUE 'retried' TO 'unknown'")
        older = [migration.name for migration in queue._migrations() if migration.name < "03.04"][-1]
        self.env["ir.config_parameter"].set_param(queue.VERSION_PARAMETER, older)
        queue.install(self.env)
        self.assertEqual(self.version(), queue.newest_version())
        self.assertEqual(self.left(), complete)

    def test_the_queue_of_another_application_is_left_alone(self):
        self.env["ir.config_parameter"].set_param(queue.VERSION_PARAMETER, False)
        before = self.left()
        with self.assertRaises(UserError):
            queue.install(self.env)
        queue.uninstall(self.env)
        self.assertEqual(self.left(), before)

    def test_only_one_job_of_a_lock_is_fetched_and_the_next_wakes_the_workers_when_it_ends(self):
        for run_id in (1, 2):
            queue.enqueue(self.env.cr, run_id, 1, "channel:1")
        job_id, args = self.fetched()
        self.assertEqual(args["run_id"], 1)
        self.assertEqual(self.fetched(), (None, None))
        self.env.cr.execute("SELECT procrastinate_finish_job_v1(%s, 'succeeded', false)", [job_id])
        self.assertEqual(self.fetched()[1]["run_id"], 2)

    def test_finished_jobs_are_purged_after_a_while(self):
        for run_id in (1, 2, 3):
            queue.enqueue(self.env.cr, run_id, 1, f"run:{run_id}")
        old, new = self.fetched()[0], self.fetched()[0]
        self.env.cr.execute(
            "SELECT procrastinate_finish_job_v1(id, 'succeeded', false) FROM unnest(%s) AS job(id)", [[old, new]]
        )
        self.env.cr.execute("UPDATE procrastinate_events SET at = now() - interval '2 days' WHERE job_id = %s", [old])
        queue.purge(self.env.cr)
        self.env.cr.execute("SELECT (args->>'run_id')::int FROM procrastinate_jobs ORDER BY id")
        self.assertEqual([run_id for (run_id,) in self.env.cr.fetchall()], [2, 3])

    def test_a_job_that_changes_while_a_run_is_stopped_is_a_conflict_and_no_error_in_the_log(self):
        for run_id, let_go in (-1, queue.cancel), (-2, queue.abandon):
            with self.subTest(let_go.__name__), self.registry.cursor() as host, self.registry.cursor() as stopping:
                queue.enqueue(host, run_id, 1, lock := f"run:{run_id}")
                host.execute("UPDATE procrastinate_jobs SET status = 'doing' WHERE lock = %s", [lock])
                host.commit()
                self.addCleanup(self.delete_job, lock)
                stopping.execute("SELECT")  # what it sees is as it was now
                host.execute("UPDATE procrastinate_jobs SET status = 'succeeded' WHERE lock = %s", [lock])
                host.commit()
                with self.assertNoLogs("odoo.sql_db", "ERROR"), self.assertRaises(SerializationFailure):
                    let_go(stopping, run_id)
                stopping.rollback()

    def delete_job(self, lock):
        with self.registry.cursor() as cr:
            cr.execute("DELETE FROM procrastinate_jobs WHERE lock = %s", [lock])
