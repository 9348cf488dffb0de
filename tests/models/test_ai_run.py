"""Runs as records: who may request, stop and decide; which moves are legal; who may write."""

import json
from datetime import timedelta
from unittest.mock import patch

from odoo.addons.ai_discuss.runtime import inputs, queue
from odoo.addons.ai_discuss.services.errors import Fenced, ModelTimeout
from odoo.addons.ai_discuss.services.events import Chunk, Restart, RoundEnded
from odoo.addons.ai_discuss.services.messages import AssistantMessage, ToolCall, ToolResult, Turn
from odoo.addons.ai_discuss.services.specs import Outcome
from odoo.addons.ai_discuss.services.states import IllegalTransition, RunState, ToolCallState
from odoo.addons.ai_discuss.services.transcript import encode_turn
from odoo.exceptions import AccessError
from psycopg2.errors import UniqueViolation

from .common import RunCase


class TestRequesting(RunCase):
    def test_a_request_is_a_run_and_a_job_in_the_callers_transaction(self):
        run = self.request()
        self.assertEqual((run.state, run.attempt, run.user_id), ("queued", 0, self.ann))
        self.assertEqual(run.trigger_message_id, self.last_message())
        self.assertEqual(self.jobs(run), [("todo", f"channel:{self.channel.id}", 0, 1)])

    def test_the_askers_companies_language_and_zone_are_those_of_the_run(self):
        self.ann.tz = "Asia/Tokyo"
        env = self.request().sudo()._acting_env()
        self.assertEqual((env.user, env.su, env.company), (self.ann, False, self.env.company))
        self.assertEqual(env.context["tz"], "Asia/Tokyo")

    def test_the_same_key_gives_the_same_run(self):
        first = self.request(key="once")
        self.assertEqual(self.env["ai.run"].with_user(self.ann)._find_request(self.channel, "once"), first)
        again = self.env["ai.run"].with_user(self.ann)._request(
            self.channel.with_user(self.ann), self.assistant, self.last_message(), "once"
        )
        self.assertEqual(again, first)

    def test_who_is_no_member_requests_nothing(self):
        with self.assertRaises(AccessError):
            self.env["ai.run"].with_user(self.bob)._request(
                self.channel.with_user(self.bob), self.assistant, self.last_message()
            )


class TestMoves(RunCase):
    def test_an_illegal_move_fails_loudly_wherever_it_comes_from(self):
        run = self.request().sudo()
        with self.assertRaises(IllegalTransition):
            run.state = "done"
        call = self.call(run)
        with self.assertRaises(IllegalTransition):
            call.state = "done"

    def test_an_attempt_begins_once_and_an_older_one_never(self):
        run = self.request().sudo()
        self.assertTrue(run._begin(1))
        self.assertFalse(run._begin(1))
        run._requeue()
        self.assertFalse(run._begin(1))
        self.assertTrue(run._begin(2))

    def test_a_fenced_attempt_cannot_write(self):
        run = self.running()
        run._hold(1)
        run._requeue()
        with self.assertRaises(Fenced):
            run._hold(1)
        run._begin(2)
        run._hold(2)
        with self.assertRaises(Fenced):
            run._hold(1)

    def test_a_requeued_run_goes_before_later_messages_of_its_channel(self):
        run = self.running()
        run._requeue()
        self.assertEqual(self.jobs(run)[-1], ("todo", f"channel:{self.channel.id}", queue.NEXT_ATTEMPT_PRIORITY, 2))

    def test_the_end_is_one_message_with_its_calls_and_the_last_frames(self):
        run = self.running()
        call = self.call(run)
        call._end(ToolResult("call1", "found", ToolCallState.ERROR))
        self.env.cr.precommit.run()
        before = self.env["bus.bus"].search([], order="id desc", limit=1).id
        run._finish(RunState.DONE, "The answer is **42**.")
        message = run.message_id
        self.assertEqual((message.author_id, message.message_type), (self.assistant.partner_id, "comment"))
        self.assertIn("<strong>42</strong>", message.body)
        self.assertEqual(call.message_id, message)
        self.assertEqual(self.kinds(run), ["run", "tool_call", "tool_result", "done"])
        self.assertEqual(self.frames(run)[-1]["message_id"], message.id)
        self.env.cr.precommit.run()
        notices = self.env["bus.bus"].search([("id", ">", before)]).mapped("message")
        news = [json.loads(notice) for notice in notices if "discuss.channel/new_message" in notice]
        self.assertEqual(len(news), 1)

    def test_an_error_is_told_and_what_was_said_is_kept(self):
        run = self.running()
        run._finish(RunState.ERROR, "So far", ModelTimeout("The model fell silent."))
        self.assertIn("So far", run.message_id.body)
        self.assertIn("The model fell silent.", run.message_id.body)
        self.assertEqual((run.state, run.error_code), ("error", "model_timeout"))
        self.assertEqual(self.kinds(run), ["run", "error", "done"])

    def test_a_stopped_run_that_said_nothing_posts_nothing(self):
        run = self.running()
        question = self.last_message()
        run._finish(RunState.CANCELLED)
        self.assertEqual(self.last_message(), question)
        self.assertFalse(run.message_id)

    def test_q44_a_run_of_an_archived_channel_ends_without_a_message(self):
        run = self.running()
        self.channel.active = False
        run._finish(RunState.DONE, "Nobody reads this.")
        self.assertEqual((run.state, run.message_id.id), ("done", False))
        self.assertIsNone(self.frames(run)[-1]["message_id"])

    def test_q48_html_in_a_reply_is_text(self):
        run = self.running()
        run._finish(RunState.DONE, "<img src=x onerror=alert(1)><script>alert(2)</script>")
        self.assertNotIn("<script", run.message_id.body)
        self.assertNotIn("<img", run.message_id.body)

    def test_every_call_of_an_ended_run_has_a_result(self):
        run = self.running()
        call = self.call(run, state="invoking")
        run._finish(RunState.CANCELLED)
        self.assertEqual((call.state, call.is_error), ("cancelled", True))
        self.assertEqual(self.kinds(run), ["run", "tool_call", "tool_result", "done"])


class TestTakeover(RunCase):
    def lose_host(self, run):
        """As if the worker that had fetched the run's job were gone."""
        self.env.cr.execute(
            "UPDATE procrastinate_jobs SET status = 'doing' WHERE args->>'run_id' = %s", [str(run.id)]
        )

    def test_a_lost_run_goes_on_with_its_next_attempt(self):
        run = self.running()
        self.lose_host(run)
        self.env["ai.run"]._take_over_lost()
        self.assertEqual((run.state, run.attempt), ("queued", 2))
        self.assertEqual([(job[0], job[-1]) for job in self.jobs(run)], [("failed", 1), ("todo", 2)])

    def test_a_host_that_died_before_it_began_loses_nothing(self):
        run = self.request().sudo()
        self.lose_host(run)
        self.env["ai.run"]._take_over_lost()
        self.assertEqual((run.state, run.attempt), ("queued", 2))
        self.assertEqual([(job[0], job[-1]) for job in self.jobs(run)], [("failed", 1), ("todo", 2)])

    def test_an_ended_run_is_not_taken_over(self):
        run = self.running()
        self.lose_host(run)
        run._finish(RunState.DONE, "Done.")
        self.env["ai.run"]._take_over_lost()
        self.assertEqual([job[0] for job in self.jobs(run)], ["failed"])

    def test_the_job_of_a_living_host_is_left_alone(self):
        run = self.running()
        self.lose_host(run)
        self.env.cr.execute(
            "UPDATE procrastinate_jobs SET worker_id = (SELECT worker_id FROM procrastinate_register_worker_v1())"
            " WHERE args->>'run_id' = %s",
            [str(run.id)],
        )
        self.env["ai.run"]._take_over_lost()
        self.assertEqual(run.attempt, 1)


    def worker(self, silent_s):
        """A worker whose heartbeat is as old as that, and that has the jobs that were fetched."""
        self.env.cr.execute("SELECT worker_id FROM procrastinate_register_worker_v1()")
        [worker_id] = self.env.cr.fetchone()
        self.env.cr.execute(
            "UPDATE procrastinate_workers SET last_heartbeat = now() - make_interval(secs => %s) WHERE id = %s",
            [silent_s, worker_id],
        )
        self.env.cr.execute("UPDATE procrastinate_jobs SET worker_id = %s WHERE status = 'doing'", [worker_id])
        return worker_id

    def attempts_after(self, silent_s, connected):
        run = self.running()
        self.lose_host(run)
        worker_id = self.worker(silent_s)
        if connected:
            self.env.cr.execute("SELECT pg_advisory_xact_lock_shared(%s, %s)", [queue.CONNECTED, worker_id])
        self.env["ai.run"]._take_over_lost()
        return run.attempt

    def test_q43_a_host_that_was_killed_is_noticed_by_its_closed_connection(self):
        self.assertEqual(self.attempts_after(silent_s=5, connected=False), 2)

    def test_q43_a_host_that_is_slow_keeps_its_runs_for_a_while(self):
        self.assertEqual(self.attempts_after(silent_s=5, connected=True), 1)

    def test_q43_a_host_that_is_frozen_loses_its_runs_though_it_is_connected(self):
        self.assertEqual(self.attempts_after(silent_s=11, connected=True), 2)

    def test_q43_a_run_that_has_no_job_any_more_is_found(self):
        """The database was away when its host gave it up."""
        run = self.running()
        for status in ("doing", "succeeded"):
            self.env.cr.execute("UPDATE procrastinate_jobs SET status = %s", [status])
        self.env["ai.run"]._take_over_lost()
        self.assertEqual((run.state, run.attempt), ("queued", 2))
        self.assertEqual([(job[0], job[-1]) for job in self.jobs(run)], [("succeeded", 1), ("todo", 2)])

    def test_q43_a_run_that_loses_host_after_host_is_given_up(self):
        run = self.running()
        for attempt in range(1, 6):
            self.assertFalse(run.error_code)
            self.env.cr.execute(
                "UPDATE procrastinate_jobs SET status = 'doing' WHERE status = 'todo' AND args->>'run_id' = %s",
                [str(run.id)],
            )
            run._begin(attempt)
            self.env["ai.run"]._take_over_lost()
        self.assertEqual((run.state, run.error_code, self.kinds(run)[-1]), ("error", "interrupted", "done"))
        self.assertIn("broke off 5 times", run.message_id.body)

    def test_q43_a_host_that_has_just_lost_its_connection_keeps_its_runs(self):
        """It sends a heartbeat every three seconds, and connects again."""
        self.assertEqual(self.attempts_after(silent_s=queue.HEARTBEAT_S + 1, connected=False), 1)

    def test_a_job_that_its_host_has_forgotten_holds_up_its_channel_for_a_minute_at_most(self):
        run = self.running()
        self.lose_host(run)
        self.worker(silent_s=0)
        run._finish(RunState.CANCELLED)
        self.env["ai.run"]._take_over_lost()
        self.assertEqual([job[0] for job in self.jobs(run)], ["doing"])
        run.finished_at -= timedelta(minutes=2)
        self.env["ai.run"]._take_over_lost()
        self.assertEqual([job[0] for job in self.jobs(run)], ["failed"])

    def test_q43_a_run_that_every_host_gives_up_is_given_up(self):
        """What it stores is refused each time in a way that looks like an outage."""
        run = self.running()
        for attempt in range(1, 6):
            run._begin(attempt)
            for status in ("doing", "succeeded"):
                self.env.cr.execute("UPDATE procrastinate_jobs SET status = %s WHERE status <> 'succeeded'", [status])
            self.env["ai.run"]._take_over_lost()
        self.assertEqual((run.state, run.error_code), ("error", "interrupted"))

    def test_q43_a_run_whose_end_cannot_be_told_holds_up_no_other(self):
        stuck = self.running()
        self.channel = self.channel.browse(self.assistant.with_user(self.ann).open_chat(new=True))
        other = self.running()
        for run in stuck, other:
            self.lose_host(run)
        stuck.stop_requested = True
        with (
            patch.object(type(stuck), "_post_reply", side_effect=TypeError("a bug")),
            self.assertLogs("odoo.addons.ai_discuss.models.ai_run_takeover", "ERROR"),
        ):
            self.env["ai.run"]._take_over_lost()
        self.assertEqual((stuck.state, stuck.attempt, self.kinds(stuck)[-1]), ("error", 2, "done"))
        self.assertEqual((other.state, other.attempt), ("queued", 2))

    def test_what_attempts_have_worked_counts_and_what_people_have_waited_does_not(self):
        run = self.running()
        run.begun_at -= timedelta(seconds=40)
        call = self.call(run, "approval")
        run._park([], Outcome("", 1, waiting=("call1",)))
        run.started_at = run.begun_at = run.begun_at - timedelta(hours=2)
        run.with_user(self.ann)._decide(call.call_id, approved=True)
        run._begin(2)
        self.assertAlmostEqual(inputs.load(run).seconds_worked, 40, delta=3)

    def test_a_stop_ends_a_run_whose_host_was_killed_and_keeps_what_was_told(self):
        run = self.running()
        self.lose_host(run)
        self.worker(silent_s=1)
        run.transcript = [encode_turn(Turn(AssistantMessage("I look.", (ToolCall("call1", "look_up"),)), "tool_calls"))]
        self.call(run, "done")
        told = [Chunk("I look."), RoundEnded(1, "tool_calls"), Chunk("\n\n"), Chunk("It was a"), Chunk(" dark")]
        self.env["ai.run.event"]._append(run, told)
        run.with_user(self.ann)._stop()
        self.assertEqual((run.state, run.attempt, run.text), ("cancelled", 2, "I look.\n\nIt was a dark"))
        self.assertEqual([job[0] for job in self.jobs(run)], ["failed"])

    def test_what_a_broken_round_has_told_is_void_once_it_is_asked_again(self):
        run = self.running()
        self.env["ai.run.event"]._append(run, [Chunk("It was a dark"), Restart(1), Chunk("It was a sunny")])
        run._finish(RunState.CANCELLED)
        self.assertEqual(run.text, "It was a sunny")

    def test_a_stop_that_its_host_does_not_heed_is_seen_through_by_others(self):
        run = self.running()
        self.lose_host(run)
        worker_id = self.worker(silent_s=1)
        self.env.cr.execute("SELECT pg_advisory_xact_lock_shared(%s, %s)", [queue.CONNECTED, worker_id])
        run.with_user(self.ann)._stop()
        self.env["ai.run"]._take_over_lost()
        self.assertEqual(run.state, "running")
        run.stopped_at -= timedelta(seconds=3)
        self.env["ai.run"]._take_over_lost()
        self.assertEqual((run.state, run.attempt), ("cancelled", 2))
        self.assertEqual([job[0] for job in self.jobs(run)], ["failed"])
        with self.assertRaises(Fenced):
            run._hold(1)


class TestHistory(RunCase):
    def asked(self):
        """What the model is asked by a next run, as (role, text)."""
        run = self.running()
        return [(type(message).__name__, message.text) for message in inputs.load(run).messages]

    def test_an_error_below_a_reply_is_not_taken_for_the_assistants_words(self):
        self.running()._finish(RunState.ERROR, "", ModelTimeout("The model fell silent."))
        self.running()._finish(RunState.ERROR, "So **far**", ModelTimeout("The model fell silent."))
        self.assertEqual(
            self.asked(),
            [*[("UserMessage", "Hello?")] * 2, ("AssistantMessage", "So **far**"), ("UserMessage", "Hello?")],
        )

    def test_q44_what_was_deleted_is_not_told(self):
        first = self.running()
        first._finish(RunState.DONE, "Kept.")
        second = self.running()
        second._finish(RunState.DONE, "Deleted.")
        for message in (first.trigger_message_id, second.message_id):
            self.channel._message_update_content(message, body="", attachment_ids=[])
        self.assertEqual(
            self.asked(),
            [("AssistantMessage", "Kept."), ("UserMessage", "Hello?"), ("UserMessage", "Hello?")],
        )


class TestRecords(RunCase):
    def told(self):
        """A finished run of two rounds, and its frames as a host would have written them."""
        run = self.running()
        call = ToolCall("call1", "look_up", {"what": "it"}, '{"what": "it"}')
        turns = [Turn(AssistantMessage("Let me see.", (call,)), "tool_calls"), Turn(AssistantMessage("Here it is."))]
        run.write({"transcript": [encode_turn(turn) for turn in turns], "rounds": 2})
        record = self.call(run, "invoking")
        record._end(ToolResult("call1", "it", ToolCallState.DONE, 12))
        run._finish(RunState.DONE, "Let me see.\n\nHere it is.")
        return run

    def test_turns_and_results_come_back_as_they_were(self):
        turns, results = self.told()._stored_turns()
        self.assertEqual(turns[0].message.tool_calls[0].arguments, {"what": "it"})
        self.assertEqual([turn.message.text for turn in turns], ["Let me see.", "Here it is."])
        self.assertEqual(results["call1"], ToolResult("call1", "it", ToolCallState.DONE, 12))

    def test_a_purged_journal_is_told_from_the_records(self):
        run = self.told()
        frames = [payload for _seq, payload in run._journal_from_records()]
        self.assertEqual(
            [frame["type"] for frame in frames],
            ["run", "chunk", "tool_call", "step", "tool_result", "chunk", "step", "done"],
        )
        said = "".join(frame["content"] for frame in frames if frame["type"] == "chunk")
        self.assertEqual(said, run.text)

    def test_a_purged_journal_is_told_with_its_notices(self):
        run = self.told()
        run.notices = [{"code": "server_unreachable", "message": "It is away."}]
        frames = [payload for _seq, payload in run._journal_from_records()]
        self.assertEqual(frames[1], {"type": "notice", "code": "server_unreachable", "message": "It is away."})

    def test_the_records_say_when_a_result_came_and_not_when_the_reply_was_posted(self):
        run = self.told()
        call = run.tool_call_ids
        call.started_at = "2026-01-02 03:04:05"
        [told] = [payload for _seq, payload in run._journal_from_records() if payload["type"] == "tool_result"]
        self.assertEqual(told["timestamp"], 1_767_323_045_012)

    def test_old_journals_are_purged_and_new_ones_kept(self):
        old, new = self.told(), self.told()
        self.env.flush_all()
        self.env.cr.execute("UPDATE ai_run SET finished_at = now() - interval '8 days' WHERE id = %s", [old.id])
        self.env["ai.run.event"]._gc_events()
        self.assertFalse(self.frames(old))
        self.assertTrue(self.frames(new))

    def test_what_a_deleted_run_left_in_the_journal_is_purged(self):
        run = self.told()
        run_id = run.id
        run.unlink()
        self.assertTrue(self.env["ai.run.event"].search([("run_id", "=", run_id)]))
        self.env["ai.run.event"]._gc_events()
        self.assertFalse(self.env["ai.run.event"].search([("run_id", "=", run_id)]))

    def test_a_deleted_conversation_takes_its_runs_and_their_journals_along(self):
        run = self.told()
        run_id = run.id
        self.channel.unlink()
        self.assertFalse(run.exists())
        self.assertFalse(self.env["ai.run.event"].search([("run_id", "=", run_id)]))

    def test_a_run_ends_only_once(self):
        run = self.told()
        with self.assertRaises(UniqueViolation), self.env.cr.savepoint(), self.assertLogs("odoo.sql_db"):
            self.env["ai.run.event"]._append(run, run._last_events())

    def test_what_postgresql_cannot_store_is_replaced_visibly(self):
        run = self.running()
        run._finish(RunState.DONE, "NUL \0 and half \ud83d of a character")
        self.assertEqual(run.text, "NUL \ufffd and half \ufffd of a character")

    def test_events_are_numbered_behind_those_that_are_stored(self):
        run = self.running()
        events = self.env["ai.run.event"]
        events._append(run, [Chunk("a"), Chunk("b")])
        events._append(run, [Chunk("c")])
        self.assertEqual(events.search([("run_id", "=", run.id)]).mapped("seq"), [1, 2, 3, 4])
