"""What people do with runs: stop them, from wherever they are, and decide on their calls. Who may, what comes of it."""

import json
from datetime import timedelta
from unittest.mock import patch

from odoo import fields
from odoo.addons.ai_discuss.models.ai_run_control import NotWaiting
from odoo.addons.ai_discuss.runtime import inputs
from odoo.addons.ai_discuss.services.messages import AssistantMessage, ToolCall, ToolResult, Turn, Usage, UserMessage
from odoo.addons.ai_discuss.services.ports import Clearance
from odoo.addons.ai_discuss.services.specs import Outcome
from odoo.addons.ai_discuss.services.states import RunState, ToolCallState
from odoo.addons.ai_discuss.services.transcript import encode_turn
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Command
from odoo.tests import Form, new_test_user
from odoo.tools.translate import code_translations

from .common import RunCase, offered

LOOK_UP = AssistantMessage("", (ToolCall("call1", "look_up"),))


class ControlCase(RunCase):
    def park(self, *states):
        run = self.running()
        calls = [self.call(run, state, f"call{number}") for number, state in enumerate(states)]
        run._park([UserMessage("Hello?")], Outcome("", 1, Usage(3, 2), waiting=("call0",)))
        return run, calls

    def told(self, name):
        """What was sent over the bus under this name, oldest first."""
        self.env.cr.precommit.run()
        notices = self.env["bus.bus"].search([("message", "like", f'"type":"{name}"')], order="id")
        return [json.loads(notice.message)["payload"] for notice in notices]


class TestDeciding(ControlCase):
    def test_the_last_decision_lets_the_run_go_on(self):
        run, (first, second) = self.park("approval", "approval")
        run.with_user(self.ann)._decide("call0", approved=True)
        self.assertEqual((run.state, first.state, first.decided_by), ("waiting", "pending", self.ann))
        run.with_user(self.ann)._decide("call1", approved=False)
        self.assertEqual((run.state, run.attempt, second.state), ("queued", 2, "denied"))
        self.assertEqual(self.jobs(run)[-1][-1], 2)

    def test_a_decision_stands(self):
        run, (call,) = self.park("approval")
        run.with_user(self.ann)._decide("call0", approved=False)
        run.with_user(self.ann)._decide("call0", approved=True)
        self.assertEqual(call.state, "denied")

    def test_a_run_whose_calls_were_all_decided_meanwhile_does_not_wait(self):
        run, _calls = self.park("denied")
        self.assertEqual(run.state, "queued")

    def test_nobody_decides_on_a_call_of_another_run(self):
        run, _calls = self.park("approval")
        with self.assertRaises(UserError):
            run.with_user(self.ann)._decide("call7", approved=True)

    def test_a_stop_ends_a_waiting_run_and_closes_its_calls(self):
        run, (call,) = self.park("approval")
        run.with_user(self.ann)._stop()
        self.assertEqual((run.state, call.state), ("cancelled", "cancelled"))
        self.assertEqual(self.kinds(run)[-1], "done")

    def test_a_stop_keeps_what_a_waiting_run_has_said_and_asked_for(self):
        run = self.running()
        run.transcript = [encode_turn(Turn(AssistantMessage("I will look.", (ToolCall("call0", "look_up"),))))]
        call = self.call(run, "approval", "call0")
        run._park([UserMessage("Hello?")], Outcome("I will look.", 1, waiting=("call0",)))
        run.with_user(self.ann)._stop()
        self.assertEqual((run.text, call.message_id), ("I will look.", run.message_id))
        self.assertIn("I will look.", run.message_id.body)

    def test_a_call_whose_tool_asks_only_since_it_was_recorded_waits_for_its_decision(self):
        run, (call,) = self.park("pending")
        self.assertEqual((run.state, call.state), ("waiting", "approval"))
        run.with_user(self.ann)._decide("call0", approved=True)
        self.assertEqual((run.state, call.state), ("queued", "pending"))

    def test_nobody_reads_the_prompt_in_what_a_waiting_run_will_go_on_from(self):
        run, _calls = self.park("approval")
        for user in (self.ann, self.boss):
            with self.assertRaises(AccessError):
                run.with_user(user).read(["messages"])
            self.assertNotIn("messages", run.with_user(user).read()[0])

    def test_a_denial_is_told_at_once_and_not_again(self):
        run, _calls = self.park("approval", "approval")
        run.with_user(self.ann)._decide("call0", approved=False)
        self.assertEqual(self.kinds(run), ["run", "tool_call", "tool_result"])
        self.assertEqual((self.frames(run)[-1]["id"], self.frames(run)[-1]["state"]), ("call0", "denied"))
        run.with_user(self.ann)._decide("call1", approved=True)
        run._begin(2)
        self.assertIn("call0", inputs.load(run).checkpoint.reported)
        run._finish(RunState.DONE, "Then not.")
        results = [frame["id"] for frame in self.frames(run) if frame["type"] == "tool_result"]
        self.assertEqual(results, ["call0", "call1"])

    def test_a_denial_while_the_run_still_works_is_told_when_it_waits(self):
        run = self.running()
        for number in (0, 1):
            self.call(run, "approval", f"call{number}")
        run.with_user(self.ann)._decide("call0", approved=False)
        self.assertEqual(self.kinds(run), ["run"])
        run._park([UserMessage("Hello?")], Outcome("", 1, waiting=("call0", "call1")))
        self.assertEqual(self.kinds(run), ["run", "tool_call", "tool_result"])

    def test_who_decided_and_when_is_kept_and_shown(self):
        self.channel.sudo()._add_members(users=self.boss)
        _run, (call,) = self.park("approval")
        call.with_user(self.boss).action_deny()
        self.assertEqual((call.decided_by, bool(call.decided_at), call.is_error), (self.boss, True, True))
        self.assertIn(f"Denied by {self.boss.name}", call.response)
        self.assertEqual(self.told("assistant.toolCall.updated")[-1]["state"], "denied")

    def test_the_buttons_decide_and_doing_it_twice_changes_nothing(self):
        run, (call,) = self.park("approval")
        mine = call.with_user(self.ann)
        self.assertTrue(mine.can_decide)
        mine.action_approve()
        mine.action_approve()
        mine.action_deny()
        self.assertEqual((run.state, call.state, mine.can_decide), ("queued", "pending", False))
        self.assertEqual(len(self.jobs(run)), 2)

    def test_only_the_asker_and_managers_who_see_the_channel_decide(self):
        _run, (call,) = self.park("approval")
        self.channel.sudo()._add_members(users=self.bob)
        for stranger in (self.bob, self.boss):
            self.assertFalse(call.with_user(stranger).can_decide)
            with self.assertRaises(AccessError):
                call.with_user(stranger).action_approve()
        self.assertEqual(call.state, "approval")

    def test_what_waits_is_seen_by_every_member_of_the_conversation(self):
        run, (call,) = self.park("approval")
        self.channel.sudo()._add_members(users=self.bob)
        self.assertEqual(run.with_user(self.bob).waiting_call_ids, call)
        self.assertEqual(call.with_user(self.bob).arguments_text, "{}")
        [*_earlier, [shown]] = [told["ai.run"] for told in self.told("mail.record/insert") if "ai.run" in told]
        self.assertEqual((shown["id"], shown["state"]), (run.id, "waiting"))

    def test_the_forms_show_what_waits_to_whoever_may_see_the_run(self):
        run, (call,) = self.park("approval")
        self.channel.sudo()._add_members(users=self.bob)
        for user in (self.ann, self.bob, self.boss):
            self.assertEqual(Form(run.with_user(user)).state, "waiting")
            self.assertEqual(Form(call.with_user(user)).can_decide, user == self.ann)

    def test_a_decision_on_an_ended_run_is_refused_in_plain_words(self):
        run, (call,) = self.park("approval")
        run.with_user(self.ann)._stop()
        with self.assertRaisesRegex(NotWaiting, "has ended"):
            call.with_user(self.ann).action_approve()
        self.assertEqual((call.state, call.decided_by.id), ("cancelled", False))

    def test_a_call_that_asks_nobody_cannot_be_decided(self):
        run = self.running()
        call = self.call(run)
        with self.assertRaisesRegex(NotWaiting, "does not wait"):
            call.with_user(self.ann).action_deny()
        self.assertEqual(call.state, "pending")


class TestChangingArguments(ControlCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = cls.env["mcp.server"].create({"name": "S", "scope": "shared", "url": "http://s.example"})
        schema = {"type": "object", "properties": {"number": {"type": "integer"}}, "required": ["number"]}
        cls.server._take_over([offered("look_up", input_schema=schema)])
        cls.tool = cls.server.tool_ids

    def asked(self, arguments=None, server=None):
        run = self.running()
        call = self.call(run, "approval", "call0")
        call.write({
            "arguments": arguments if arguments is not None else {"number": 1},
            "tool_id": self.tool.id, "server_id": (server or self.server).id,
            "definition_hash": self.tool._definition(),
        })
        run._park([UserMessage("Hello?")], Outcome("", 1, waiting=("call0",)))
        return run, call

    def approve(self, run, arguments, user=None):
        run.with_user(user or self.ann)._decide("call0", approved=True, arguments=arguments)

    def test_the_call_is_made_with_what_the_person_has_written_and_both_are_kept(self):
        run, call = self.asked()
        self.approve(run, {"number": 2})
        self.assertEqual((call.arguments, call.proposed_arguments), ({"number": 2}, {"number": 1}))
        self.assertEqual((run.state, call.decided_by), ("queued", self.ann))
        told = self.told("assistant.toolCall.updated")[-1]
        self.assertEqual((told["arguments"], told["proposed_arguments"]), ({"number": 2}, {"number": 1}))
        run._begin(2)
        with patch.object(type(self.tool), "_is_offered", lambda *args: True):
            self.assertEqual(call._clear(), Clearance(arguments={"number": 2}))

    def test_the_model_is_told_what_it_did_not_write(self):
        run, call = self.asked()
        self.approve(run, {"number": 2})
        run._begin(2)
        call.state = "invoking"
        call._end(ToolResult("call0", "Two.", ToolCallState.DONE))
        self.assertEqual(call.response, "Two.")
        self.assertIn(f'{self.ann.name} changed the arguments', call._result().note)
        self.assertIn('{"number": 2}', call._result().note)
        self.assertEqual((call._started_event().args, call._finished_event().result), ({"number": 1}, "Two."))
        self.assertEqual((call._finished_event().args, call._result().args), ({"number": 2}, {"number": 2}))

    def test_what_is_written_as_it_was_is_no_change(self):
        run, call = self.asked()
        self.approve(run, {"number": 1})
        self.assertEqual((call.is_changed, call._change_note(), call.state), (False, "", "pending"))
        self.assertIsNone(call._finished_event().args)

    def test_arguments_where_there_were_none_are_a_change(self):
        run, call = self.asked(arguments={})
        self.approve(run, {"number": 3})
        self.assertEqual((call.arguments, call.is_changed), ({"number": 3}, True))
        self.assertEqual(call._started_event().args, {})

    def test_what_does_not_fit_is_refused_and_the_call_waits_on(self):
        run, call = self.asked()
        for arguments in ({"number": "two"}, {}):
            with self.assertRaisesRegex(UserError, "do not fit. .*number"):
                self.approve(run, arguments)
        self.assertEqual((run.state, call.state, call.arguments), ("waiting", "approval", {"number": 1}))

    def test_only_who_asked_changes_what_their_own_account_is_used_for(self):
        self.channel.sudo()._add_members(users=self.boss)
        run, call = self.asked()
        self.server.write({"per_user": True, "auth_type": "bearer"})
        with self.assertRaisesRegex(AccessError, "account of ann-run"):
            self.approve(run, {"number": 2}, self.boss)
        self.assertEqual(call.state, "approval")
        self.approve(run, {"number": 2})
        self.assertEqual(call.arguments, {"number": 2})

    def test_a_manager_changes_what_the_common_account_is_used_for(self):
        self.channel.sudo()._add_members(users=self.boss)
        run, call = self.asked()
        self.approve(run, {"number": 2}, self.boss)
        self.assertEqual((call.arguments, call.decided_by), ({"number": 2}, self.boss))

    def test_a_call_whose_tool_changes_after_that_is_asked_about_as_it_was_changed(self):
        run, call = self.asked()
        self.approve(run, {"number": 2})
        run._begin(2)
        self.server._take_over([offered("look_up", description="Does something else.")])
        with patch.object(type(self.tool), "_is_offered", lambda *args: True):
            self.assertTrue(call._clear().asks)
        self.assertEqual((call.arguments, call.proposed_arguments), ({"number": 2}, {"number": 1}))
        call._approve()
        self.assertEqual(call.proposed_arguments, {"number": 1})

    def test_how_long_a_call_has_been_running_is_told_while_it_does(self):
        _run, call = self.asked()
        self.assertFalse(call._elapsed_ms())
        call.state = "pending"
        call.write({"state": "invoking", "started_at": fields.Datetime.now() - timedelta(seconds=90)})
        self.assertTrue(90_000 <= call._elapsed_ms() < 100_000)
        call._end(ToolResult("call0", "Two.", ToolCallState.DONE))
        self.assertFalse(call._elapsed_ms())


class TestExpiry(ControlCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.noon = fields.Datetime.to_datetime("2026-01-01 12:00:00")

    def asked(self, count=1, hours=24):
        """A run that has waited for so many decisions, each of which has come so many hours after the first."""
        run, calls = self.park(*["approval"] * count)
        for number, call in enumerate(calls):
            requested = self.noon + timedelta(hours=number)
            call.write({"requested_at": requested, "expires_at": hours and requested + timedelta(hours=hours)})
        return run, calls

    def expire(self, hours):
        with patch.object(fields.Datetime, "now", lambda: self.noon + timedelta(hours=hours)):
            self.env.flush_all()
            self.env["ai.run"]._expire_approvals()

    def test_a_call_that_nobody_decided_on_in_time_is_denied_and_the_run_goes_on(self):
        run, (call,) = self.asked()
        self.expire(23.9)
        self.assertEqual((run.state, call.state), ("waiting", "approval"))
        self.expire(24)
        self.assertEqual((run.state, run.attempt, call.state), ("queued", 2, "denied"))
        self.assertEqual((call.decided_by.id, call.decided_at), (False, self.noon + timedelta(hours=24)))
        self.assertIn("Nobody decided within 24 h", call.response)
        self.assertEqual((self.frames(run)[-1]["id"], self.frames(run)[-1]["state"]), ("call0", "denied"))
        self.assertEqual(self.told("assistant.toolCall.updated")[-1]["state"], "denied")

    def test_each_call_has_its_own_time(self):
        run, (first, second) = self.asked(2)
        self.expire(24)
        self.assertEqual((run.state, first.state, second.state), ("waiting", "denied", "approval"))
        self.expire(25)
        self.assertEqual((run.state, second.state), ("queued", "denied"))

    def test_one_that_never_expires_waits_on(self):
        run, (call,) = self.asked(hours=0)
        self.expire(1_000_000)
        self.assertEqual((run.state, call.state), ("waiting", "approval"))

    def test_what_was_decided_or_stopped_does_not_expire(self):
        run, (call,) = self.asked()
        run.with_user(self.ann)._decide("call0", approved=True)
        stopped, (closed,) = self.asked()
        stopped.with_user(self.ann)._stop()
        self.expire(24)
        self.assertEqual((call.state, call.decided_by, closed.state), ("pending", self.ann, "cancelled"))

    def test_while_the_run_still_works_it_is_denied_and_told_later(self):
        run = self.running()
        call = self.call(run, "approval", "call0")
        call.write({"requested_at": self.noon, "expires_at": self.noon + timedelta(hours=24)})
        self.expire(24)
        self.assertEqual((run.state, call.state, self.kinds(run)), ("running", "denied", ["run"]))

    def test_a_decision_that_comes_too_late_changes_nothing(self):
        run, (call,) = self.asked()
        self.expire(24)
        run.with_user(self.ann)._decide("call0", approved=True)
        self.assertEqual((call.state, call.decided_by.id), ("denied", False))

    def test_the_last_resort_sees_to_it_as_well(self):
        run, _calls = self.asked()
        self.env.flush_all()
        self.env["ai.run"]._cron_sweep()
        self.assertEqual(run.state, "queued")

    def test_the_setting_holds_for_calls_from_now_on(self):
        for hours, expected in ((None, 24), (2, 2), (0.5, 0.5), (0, None)):
            if hours is not None:
                with Form(self.env["res.config.settings"]) as form:
                    form.ai_approval_hours = hours
                form.record.execute()
            _run, (call,) = self.park("pending")
            self.assertEqual(call.expires_at, bool(expected) and call.requested_at + timedelta(hours=expected))

    def test_a_parameter_may_be_written_by_hand(self):
        for written, hours in (("0.01", 0.01), ("1e9", 8_760), ("-1", 0), ("nan", 0), ("soon", 24)):
            self.env["ir.config_parameter"].set_param("ai_discuss.approval_hours", written)
            with self.subTest(written):
                self.assertEqual(self.env["res.config.settings"]._ai_approval_hours(), hours)

    def test_a_setting_that_makes_no_sense_is_refused(self):
        with self.assertRaisesRegex(ValidationError, "“Approvals Expire” must be between"):
            self.env["res.config.settings"].create({"ai_approval_hours": -1})


class TestStopping(ControlCase):
    def test_a_queued_run_is_cancelled_with_its_job(self):
        run = self.request()
        run._stop()
        self.assertEqual(run.state, "cancelled")
        self.assertEqual(self.jobs(run)[0][0], "cancelled")
        self.assertEqual(self.kinds(run), ["run", "done"])

    def test_a_running_one_is_left_to_its_host(self):
        run = self.running()
        run.with_user(self.ann)._stop()
        self.assertEqual((run.state, run.stop_requested), ("running", True))

    def test_an_ended_one_stays_as_it_is(self):
        run = self.running()
        run._finish(RunState.DONE, "Done.")
        run.with_user(self.ann)._stop()
        self.assertEqual(run.state, "done")

    def test_only_the_asker_and_managers_who_see_the_channel_may(self):
        run = self.request()
        for stranger in (self.bob, self.boss):
            with self.assertRaises(AccessError):
                run.with_user(stranger)._stop()
        self.channel.sudo()._add_members(users=self.boss)
        run.with_user(self.boss)._stop()
        self.assertEqual(run.state, "cancelled")

    def test_a_run_without_a_conversation_is_stopped_by_managers_of_its_company_only(self):
        run = self.env["ai.run"].create({
            "assistant_id": self.assistant.id, "user_id": self.ann.id, "company_id": self.env.company.id,
        })
        elsewhere = self.env["res.company"].create({"name": "Elsewhere"})
        stranger = new_test_user(
            self.env, "stranger-run", "base.group_user,ai_discuss.group_ai_manager",
            company_id=elsewhere.id, company_ids=[Command.set(elsewhere.ids)],
        )
        with self.assertRaises(AccessError):
            run.with_user(stranger)._stop()
        run.with_user(self.boss)._stop()
        self.assertEqual(run.state, "cancelled")

    def test_a_stopped_reply_says_who_stopped_it_and_the_model_never_reads_that(self):
        run = self.running()
        run.with_user(self.ann)._stop()
        run._finish(RunState.CANCELLED, "Once upon")
        self.assertEqual((run.stopped_by, run.text), (self.ann, "Once upon"))
        self.assertIn(f'<p class="o_ai_stopped text-muted">Stopped by {self.ann.name}.</p>', run.message_id.body)
        asked = [message.text for message in inputs.load(self.running()).messages]
        self.assertEqual(asked, ["Hello?", "Once upon", "Hello?"])

    def test_the_note_is_in_the_language_of_the_one_who_asked(self):
        self.env["res.lang"]._activate_lang("fr_FR")
        self.ann.lang = "fr_FR"
        run = self.running()
        run.with_user(self.boss).sudo().write({"stop_requested": True, "stopped_by": self.boss.id})
        french = {"Stopped by %(name)s.": "Arrêté par %(name)s."}
        with patch.object(code_translations, "get_python_translations", lambda _module, _lang: french):
            run._finish(RunState.CANCELLED, "Il était")
        self.assertIn(f"Arrêté par {self.boss.name}.", run.message_id.body)

    def test_a_run_that_has_only_called_tools_is_marked_as_stopped_and_shows_them(self):
        run = self.running()
        run.transcript = [encode_turn(Turn(LOOK_UP, "tool_calls"))]
        call = self.call(run, "invoking")
        run.with_user(self.ann)._stop()
        run._finish(RunState.CANCELLED)
        self.assertEqual((call.state, call.message_id), ("cancelled", run.message_id))
        self.assertIn("o_ai_stopped", run.message_id.body)
        later = inputs.load(self.running()).messages
        self.assertFalse([message for message in later if "Stopped by" in message.text])

    def test_a_run_that_ends_before_the_stop_reaches_it_is_not_marked(self):
        run = self.running()
        run.with_user(self.ann)._stop()
        run._finish(RunState.DONE, "The whole answer.")
        self.assertEqual((run.state, "o_ai_stopped" in run.message_id.body), ("done", False))

    def test_the_first_who_stops_a_run_is_the_one_who_has_stopped_it(self):
        self.channel.sudo()._add_members(users=self.boss)
        run = self.running()
        run.with_user(self.boss)._stop()
        run.with_user(self.ann)._stop()
        self.assertEqual(run.stopped_by, self.boss)

    def test_a_stop_that_meets_the_parking_of_its_run_ends_it(self):
        run = self.running()
        call = self.call(run, "approval", "call0")
        run.with_user(self.ann)._stop()
        run._park([UserMessage("Hello?")], Outcome("", 1, waiting=("call0",)))
        self.assertEqual((run.state, call.state), ("cancelled", "cancelled"))

    def test_a_stopped_run_whose_host_is_gone_is_ended_by_the_next_attempt(self):
        run = self.running()
        run.transcript = [encode_turn(Turn(AssistantMessage("So far"), "stop"))]
        run.with_user(self.ann)._stop()
        run._requeue()
        run._begin(2)
        self.assertTrue(inputs.is_pointless(run))
        run._finish(RunState.CANCELLED)
        self.assertIn("So far", run.message_id.body)
        self.assertIn(f"Stopped by {self.ann.name}.", run.message_id.body)

    def test_the_stop_button_is_there_while_there_is_something_to_stop(self):
        run = self.running()
        mine = run.with_user(self.ann)
        self.assertTrue(mine.can_stop)
        self.assertFalse(run.with_user(self.bob).sudo(False)._is_controllable())
        mine.action_stop()
        run._finish(RunState.CANCELLED)
        self.assertFalse(mine.can_stop)


class TestStopCommand(ControlCase):
    def stop(self, user):
        """What the person is told, who alone sees it."""
        self.channel.with_user(user).execute_command_ai_stop(body="/stop")
        return self.told("discuss.channel/transient_message")[-1]["body"]

    def test_it_stops_all_that_the_caller_has_asked_here(self):
        waiting, _calls = self.park("approval")
        queued = self.request().sudo()
        self.assertIn("Stopped: Botty.", self.stop(self.ann))
        self.assertEqual((waiting.state, queued.state), ("cancelled", "cancelled"))
        self.assertEqual(queued.stopped_by, self.ann)

    def test_where_nothing_runs_it_says_so(self):
        self.running()._finish(RunState.DONE, "Done.")
        self.assertIn("There is nothing to stop", self.stop(self.ann))

    def test_another_member_stops_nothing_and_a_manager_everything(self):
        self.channel.sudo()._add_members(users=self.bob | self.boss)
        run = self.request().sudo()
        self.assertIn("There is nothing to stop", self.stop(self.bob))
        self.assertEqual(run.state, "queued")
        self.assertIn("Stopped: Botty.", self.stop(self.boss))
        self.assertEqual((run.state, run.stopped_by), ("cancelled", self.boss))

    def test_q47_who_does_not_see_the_conversation_cannot(self):
        run = self.request().sudo()
        with self.assertRaises(AccessError):
            self.channel.with_user(self.bob).execute_command_ai_stop(body="/stop")
        self.assertEqual(run.state, "queued")
