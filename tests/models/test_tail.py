"""Viewers of a journal, on real connections: what they see, when, and that they leave nothing behind."""

import json
import os
import threading
from itertools import takewhile
from unittest.mock import patch

from odoo.addons.ai_discuss.runtime import tail
from odoo.addons.ai_discuss.services.events import Chunk, Restart, RoundEnded, RunFinished, RunStarted
from odoo.addons.ai_discuss.services.states import RunState
from odoo.addons.ai_discuss.services.wire_v1 import encode
from odoo.sql_db import db_connect
from odoo.tests import BaseCase, get_db_name

PATIENCE_S = 5


class TestTail(BaseCase):
    """The rows are committed, because a viewer reads with a connection of its own; each test removes its run."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.db = get_db_name()

    def setUp(self):
        super().setUp()
        self.assistant_id = self.execute(
            "INSERT INTO ai_assistant (name, max_rounds, run_timeout, approval, create_uid)"
            " VALUES ('Viewed', 10, 600, 'tool', 1) RETURNING id"
        )
        self.run_id = self.execute(
            "INSERT INTO ai_run (assistant_id, user_id, company_id, state, attempt) SELECT %s, 1, id, 'running', 1"
            " FROM res_company LIMIT 1 RETURNING id",
            self.assistant_id,
        )
        self.addCleanup(self.execute, "DELETE FROM ai_assistant WHERE id = %s", self.assistant_id)
        self.addCleanup(self.execute, "DELETE FROM ai_run_event WHERE run_id = %s", self.run_id)
        self.seq = 0

    def execute(self, query, *params):
        """Run a statement, committed at once."""
        with db_connect(self.db).cursor() as cr:
            cr.execute(query, params)
            return cr.fetchone()[0] if cr._obj.description else None

    def tell(self, *events, notify=True):
        """Write events as a host does."""
        for event in events:
            self.seq += 1
            self.execute(
                "INSERT INTO ai_run_event (run_id, attempt, seq, payload) VALUES (%s, 1, %s, %s)",
                self.run_id, self.seq, json.dumps(encode(event)),
            )  # fmt: skip
        if notify:
            self.execute("SELECT pg_notify('ai_discuss_run', %s)", json.dumps([self.run_id]))

    def finish(self):
        self.execute("UPDATE ai_run SET state = 'done', finished_at = now() WHERE id = %s", self.run_id)
        self.tell(RunFinished(self.run_id, None, RunState.DONE, 1))

    def follow(self, after_seq=0, idle=PATIENCE_S):
        viewer = tail.follow(self.db, self.run_id, after_seq, idle)
        self.addCleanup(viewer.close)
        return viewer

    def kinds(self, viewer):
        """The types of the frames to the end; a viewer that waits in vain fails the test."""
        return [payload["type"] for _seq, payload in takewhile(self.is_frame, viewer)]

    def is_frame(self, item):
        self.assertIsNotNone(item, "nothing came in time")
        return True

    def test_what_is_stored_comes_first_and_then_what_is_written(self):
        self.tell(RunStarted(self.run_id, RunState.RUNNING), Chunk("a"))
        viewer = self.follow()
        self.assertEqual([next(viewer)[0], next(viewer)[0]], [1, 2])
        self.tell(Chunk("b"))
        self.assertEqual(next(viewer), (3, encode(Chunk("b"))))
        self.finish()
        self.assertEqual(self.kinds(viewer), ["done"])

    def test_a_viewer_that_resumes_gets_what_it_has_not_seen(self):
        self.tell(RunStarted(self.run_id, RunState.RUNNING), Chunk("a"), Chunk("b"))
        self.finish()
        self.assertEqual([seq for seq, _payload in self.follow(after_seq=2)], [3, 4])

    def test_nothing_left_is_an_end(self):
        self.finish()
        self.assertEqual(list(self.follow(after_seq=1)), [])

    def test_a_replay_omits_what_is_void_and_a_resumed_one_is_told_so(self):
        started = RunStarted(self.run_id, RunState.RUNNING)
        self.tell(started, Chunk("void"), Restart(1), Chunk("a"), RoundEnded(1, "stop"))
        self.finish()
        self.assertEqual(self.kinds(self.follow()), ["run", "chunk", "step", "done"])
        self.assertEqual(self.kinds(self.follow(after_seq=2)), ["restart", "chunk", "step", "done"])

    def test_a_replay_omits_what_is_void_even_where_it_is_there_before_its_viewer_looks(self):
        self.tell(RunStarted(self.run_id, RunState.RUNNING), Chunk("void"), Restart(1), Chunk("a"))
        self.finish()
        given = threading.Event()
        give, add = tail._Follower.give, tail._Reader.add

        def give_and_say(follower, frames):
            give(follower, frames)
            given.set()

        def add_and_wait(reader, follower):
            add(reader, follower)
            self.assertTrue(given.wait(PATIENCE_S))

        with patch.object(tail._Follower, "give", give_and_say), patch.object(tail._Reader, "add", add_and_wait):
            self.assertEqual(self.kinds(self.follow()), ["run", "chunk", "done"])

    def test_silence_is_said_so_that_the_viewer_can_be_pinged(self):
        self.assertIsNone(next(self.follow(idle=0.05)))

    def test_several_viewers_see_the_same(self):
        viewers = [self.follow() for _ in range(3)]
        seen = [[] for _ in viewers]
        threads = [
            threading.Thread(target=lambda s=s, v=v: s.extend(v), daemon=True)
            for s, v in zip(seen, viewers, strict=True)
        ]
        for thread in threads:
            thread.start()
        self.tell(RunStarted(self.run_id, RunState.RUNNING), Chunk("a"))
        self.finish()
        for thread in threads:
            thread.join(PATIENCE_S)
        self.assertEqual([[item[0] for item in items if item] for items in seen], [[1, 2, 3]] * 3)

    def test_a_lost_notification_delays_but_does_not_lose(self):
        with patch.object(tail, "RECHECK_S", 0.1):
            viewer = self.follow()
            self.tell(RunStarted(self.run_id, RunState.RUNNING))
            next(viewer)
            self.tell(Chunk("a"), notify=False)
            self.assertEqual(next(viewer)[0], 2)

    def test_a_broken_connection_is_replaced_and_nothing_is_missed_or_repeated(self):
        with patch.object(tail, "RECONNECT_S", 0.05):
            self.tell(RunStarted(self.run_id, RunState.RUNNING))
            viewer = self.follow()
            next(viewer)
            self.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE datname = current_database() AND query LIKE 'LISTEN ai_discuss_run%%'"
                "    OR query LIKE '%%FROM unnest%%wanted%%' AND pid <> pg_backend_pid()"
            )
            self.tell(Chunk("a"))
            self.finish()
            self.assertEqual(self.kinds(viewer), ["chunk", "done"])

    def test_a_purged_journal_is_told_from_the_records(self):
        self.finish()
        self.execute("DELETE FROM ai_run_event WHERE run_id = %s", self.run_id)
        self.assertEqual(self.kinds(self.follow()), ["run", "done"])

    def test_a_run_that_is_deleted_ends_its_viewers(self):
        with patch.object(tail, "RECHECK_S", 0.1):
            self.tell(RunStarted(self.run_id, RunState.RUNNING))
            viewer = self.follow()
            next(viewer)
            self.execute("DELETE FROM ai_run WHERE id = %s", self.run_id)
            self.assertEqual(self.kinds(viewer), [])

    def test_a_viewer_that_leaves_is_forgotten(self):
        viewer = self.follow(idle=0.05)
        next(viewer)
        reader = tail._readers[os.getpid(), self.db]
        self.assertIn(self.run_id, reader._followers)
        viewer.close()
        self.assertNotIn(self.run_id, reader._followers)
