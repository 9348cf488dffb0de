"""Budgets: for whom they are, what counts, when they are used up, and what people read then."""

from datetime import datetime, timedelta
from unittest.mock import patch

from odoo.addons.ai_discuss.models.ai_budget import RETRY_BUSY_AFTER_S, RateLimited
from odoo.addons.ai_discuss.runtime import inputs
from odoo.addons.ai_discuss.services.errors import BudgetSpent
from odoo.addons.ai_discuss.services.messages import AssistantMessage, Turn, Usage, UserMessage
from odoo.addons.ai_discuss.services.specs import Outcome
from odoo.addons.ai_discuss.services.states import RunState
from odoo.addons.ai_discuss.services.transcript import encode_turn
from odoo.exceptions import AccessError, ValidationError
from odoo.fields import Command, Datetime
from odoo.tests import Form
from odoo.tools import mute_logger
from psycopg2 import IntegrityError

from .common import RunCase


class BudgetCase(RunCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["ai.budget"].search([]).active = False
        cls.env["ai.model"].create({
            "provider_id": cls.assistant.provider_id.id, "name": "scripted", "input_price": 1_000_000.0,
        })

    def budget(self, **limits):
        return self.env["ai.budget"].create({"name": "Fair share", "tz": "UTC", **limits})

    def refusal(self, user=None, assistant=None):
        """Why there is no further reply; None: there is one."""
        try:
            self.env["ai.budget"].with_user(user or self.ann)._check(assistant or self.assistant, user or self.ann)
        except RateLimited as refusal:
            return refusal

    def check_left(self, user=None, assistant=None):
        self.assertIsNone(self.refusal(user, assistant))

    def check_used_up(self, user=None, assistant=None):
        self.assertIsInstance(self.refusal(user, assistant), RateLimited)

    def consume(self, tokens=0, user=None):
        """A reply that is complete."""
        user = user or self.ann
        channel = self.env["discuss.channel"].with_user(user).browse(self.assistant.with_user(user).open_chat(new=True))
        message = channel.message_post(body="Hello?")
        run = self.env["ai.run"].with_user(user)._request(channel, self.assistant, message).sudo()
        run._begin(1)
        run._count(Usage(tokens))
        run._finish(RunState.DONE, "Done.")
        return run

    def ask_earlier(self, run, **ago):
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE ai_run SET create_date = %s WHERE id = %s", [Datetime.now() - timedelta(**ago), run.id]
        )
        run.invalidate_recordset()


class TestWhomABudgetIsFor(BudgetCase):
    def test_without_budgets_nothing_is_asked_of_the_database(self):
        self.check_left()
        with self.assertQueryCount(0):
            self.check_left()

    def test_a_budget_that_applies_to_others_costs_nothing(self):
        self.budget(max_runs=1, user_id=self.bob.id)
        self.check_left()
        with self.assertQueryCount(0):
            self.check_left()

    def test_each_person_has_it_on_their_own(self):
        self.budget(max_runs=1)
        self.consume()
        self.check_used_up()
        self.check_left(self.bob)

    def test_everybody_shares_it(self):
        self.budget(max_runs=1, per_person=False)
        self.consume()
        self.check_used_up(self.bob)

    def test_it_is_one_persons_alone(self):
        self.budget(max_runs=1, user_id=self.bob.id, per_person=False)
        self.consume()
        self.check_left(self.bob)
        self.consume(user=self.bob)
        self.check_used_up(self.bob)
        self.check_left()

    def test_a_group_shares_it_and_nobody_else_uses_it_up(self):
        group = self.env["res.groups"].create({"name": "Trainees", "user_ids": [Command.set(self.bob.ids)]})
        self.budget(max_tokens=100, group_id=group.id, per_person=False)
        self.consume(500)
        self.check_left()
        self.check_left(self.bob)
        self.consume(100, self.bob)
        self.check_left()
        self.check_used_up(self.bob)

    def test_it_is_for_one_assistant(self):
        other = self.assistant.copy({"name": "Other"})
        self.budget(max_runs=1, assistant_id=self.assistant.id)
        self.consume()
        self.check_used_up()
        self.check_left(assistant=other)

    def test_it_is_for_what_is_asked_in_one_company(self):
        elsewhere = self.env["res.company"].create({"name": "Elsewhere"})
        budget = self.budget(max_runs=1, company_id=elsewhere.id)
        self.consume()
        self.check_left()
        budget.company_id = self.env.company
        self.check_used_up()

    def test_a_change_holds_at_once(self):
        budget = self.budget(max_runs=1, user_id=self.bob.id)
        self.consume()
        self.check_left()
        budget.user_id = self.ann
        self.check_used_up()
        budget.max_runs = 2
        self.check_left()
        budget.max_runs = 1
        budget.active = False
        self.check_left()
        budget.active = True
        self.check_used_up()
        budget.unlink()
        self.check_left()

    def test_only_managers_know_budgets(self):
        budget = self.budget(max_runs=1)
        for method in (budget.with_user(self.ann).read, self.env["ai.budget"].with_user(self.ann).search):
            with self.assertRaises(AccessError):
                method([])
        self.assertEqual(budget.with_user(self.boss).name, "Fair share")

    @mute_logger("odoo.sql_db")
    def test_what_makes_no_sense_cannot_be_stored(self):
        for values in ({"max_runs": -1}, {"max_cost": -0.5}, {"user_id": self.ann.id, "group_id": 1}):
            with self.subTest(values), self.assertRaises(IntegrityError), self.env.cr.savepoint():
                self.budget(**values)
        with self.assertRaises(ValidationError):
            self.budget(name=" ")


class TestWhatCounts(BudgetCase):
    def test_replies_count_from_when_they_are_asked_for(self):
        self.budget(max_runs=2)
        self.request()
        self.check_left()
        self.request()
        self.check_used_up()

    def test_tokens_in_and_out_count(self):
        self.budget(max_tokens=150)
        run = self.running()
        run._count(Usage(100, 40, 90))
        self.check_left()
        run._count(Usage(0, 10))
        self.check_used_up()

    def test_money_counts_at_the_price_that_was_paid_in_the_currency_of_the_budget(self):
        currency = self.env["res.currency"].create({"name": "TST", "symbol": "T", "rounding": 0.01})
        self.env["res.currency.rate"].create(
            {"currency_id": currency.id, "rate": 2.0, "name": "2020-01-01", "company_id": self.env.company.id}
        )
        self.budget(max_cost=10, currency_id=currency.id)
        self.consume(tokens=4)  # at one apiece, which is two of those
        self.check_left()
        self.consume(tokens=1)
        self.check_used_up()

    def test_what_was_asked_before_the_period_does_not_count(self):
        budget = self.budget(max_tokens=10)
        run = self.consume(tokens=10)
        for period, ago in (("hour", {"hours": 1}), ("day", {"days": 1}), ("month", {"days": 31})):
            with self.subTest(period):
                budget.period = period
                self.ask_earlier(run)
                self.check_used_up()
                self.ask_earlier(run, **ago)
                self.check_left()

    def test_what_was_refused_does_not_count(self):
        budget = self.budget(max_runs=1)
        self.consume()
        self.channel.with_user(self.ann).message_post(body="And now?", message_type="comment")
        budget.max_runs = 2
        self.check_left()

    def test_replies_that_wait_for_a_person_are_not_made_at_the_same_time(self):
        self.budget(max_concurrent=1)
        run = self.running()
        self.check_used_up()
        self.check_left(self.bob)
        self.call(run, "approval")
        run._park([UserMessage("Hello?")], Outcome("", 1, waiting=("call1",)))
        self.check_left()

    def test_replies_to_one_message_count_each(self):
        self.budget(max_concurrent=1)
        other = self.assistant.copy({"name": "Other"})
        group = self.env["discuss.channel"].with_user(self.ann)._create_group(self.ann.partner_id.ids)
        group.message_post(
            body="You two?", message_type="comment", partner_ids=(self.assistant | other).partner_id.ids
        )
        runs = self.env["ai.run"].search([("channel_id", "=", group.id)], order="id")
        self.assertEqual(runs.mapped("error_code"), [False, "rate_limited"])


class TestPeriods(BudgetCase):
    def bounds(self, now, **values):
        budget = self.budget(**values)
        with patch.object(type(self.env.cr), "now", return_value=datetime.fromisoformat(now)):
            return [moment.isoformat(" ", "minutes") for moment in budget._period_bounds()]

    def test_days_and_months_begin_at_midnight_where_the_budget_is_at_home(self):
        for now, period, bounds in (
            ("2026-11-21 16:35", "day", ["2026-11-20 23:00", "2026-11-21 23:00"]),
            ("2026-11-21 23:00", "day", ["2026-11-21 23:00", "2026-11-22 23:00"]),
            ("2026-03-29 12:00", "day", ["2026-03-28 23:00", "2026-03-29 22:00"]),  # 23 hours: summer time begins
            ("2026-10-31 12:00", "month", ["2026-09-30 22:00", "2026-10-31 23:00"]),
            ("2026-01-31 22:59", "month", ["2025-12-31 23:00", "2026-01-31 23:00"]),
        ):
            with self.subTest(now):
                self.assertEqual(self.bounds(now, period=period, tz="Europe/Brussels"), bounds)

    def test_hours_begin_as_on_the_clock_and_last_an_hour(self):
        for now, tz, bounds in (
            ("2026-11-21 16:35", "Europe/Brussels", ["2026-11-21 16:00", "2026-11-21 17:00"]),
            ("2026-11-21 16:35", "Asia/Kolkata", ["2026-11-21 16:30", "2026-11-21 17:30"]),
            ("2026-10-25 00:30", "Europe/Brussels", ["2026-10-25 00:00", "2026-10-25 01:00"]),  # 02:30, twice
            ("2026-10-25 01:30", "Europe/Brussels", ["2026-10-25 01:00", "2026-10-25 02:00"]),
        ):
            with self.subTest(now):
                self.assertEqual(self.bounds(now, period="hour", tz=tz), bounds)

    def test_who_is_refused_learns_when_it_starts_anew(self):
        self.ann.tz = "Europe/Brussels"
        self.budget(max_runs=1)
        self.env["ai.budget"].flush_model()
        with patch.object(type(self.env.cr), "now", return_value=datetime.fromisoformat("2026-11-21 16:35")):
            self.request()
            refusal = self.refusal()
        self.assertEqual(refusal.retry_after, (7 * 60 + 25) * 60)
        text = str(refusal).replace("\N{NARROW NO-BREAK SPACE}", " ")
        self.assertEqual(
            text, "The budget “Fair share” is used up: 1 reply a day. It starts anew on 11/22/26, 1:00 AM."
        )

    def test_of_several_that_are_used_up_people_learn_of_the_one_that_lasts_longest(self):
        self.budget(max_concurrent=1, name="Short")
        self.budget(max_runs=1, period="month", name="Long")
        self.budget(max_runs=1, period="hour", name="Middle")
        self.request()
        self.assertIn("Long", str(self.refusal()))

    def test_nobody_knows_how_long_a_reply_takes_that_is_being_made(self):
        self.budget(max_concurrent=1)
        self.request()
        refusal = self.refusal()
        self.assertEqual(refusal.retry_after, RETRY_BUSY_AFTER_S)
        self.assertIn("No more than 1 reply can be made at the same time", str(refusal))


class TestAsking(BudgetCase):
    def test_nothing_is_posted_for_a_program_that_is_refused(self):
        self.budget(max_runs=1)
        self.request()
        before = self.channel.message_ids
        with self.assertRaises(RateLimited):
            self.request()
        self.assertEqual(self.channel.message_ids, before)

    def test_in_discuss_the_message_stays_and_the_assistant_says_why_it_does_not_answer(self):
        self.budget(max_runs=1)
        self.request()
        self.channel.with_user(self.ann).message_post(body="And now?", message_type="comment")
        reply, question = self.channel.message_ids[:2]
        self.assertEqual(reply.author_id, self.assistant.partner_id)
        self.assertIn("The budget “Fair share” is used up: 1 reply a day.", reply.body)
        run = self.env["ai.run"].search([("trigger_message_id", "=", question.id)])
        self.assertEqual((run.state, run.error_code, run.message_id), ("error", "rate_limited", reply))
        self.assertEqual(self.jobs(run), [])
        self.assertEqual(self.kinds(run), ["run", "error", "done"])

    def test_the_assistant_says_so_once_however_often_somebody_writes(self):
        self.budget(max_runs=1)
        self.request()
        for _time in range(5):
            self.channel.with_user(self.ann).message_post(body="And now?", message_type="comment")
        refused = self.env["ai.run"].search([("channel_id", "=", self.channel.id), ("state", "=", "error")])
        self.assertEqual(len(refused), 1)
        self.ask_earlier(refused, minutes=2)
        self.channel.with_user(self.ann).message_post(body="And now?", message_type="comment")
        self.assertEqual(self.env["ai.run"].search_count([("error_code", "=", "rate_limited")]), 2)


class TestInARun(BudgetCase):
    def test_the_strictest_rounds_and_seconds_hold(self):
        self.budget(max_rounds=3, max_seconds=7200)
        self.budget(max_rounds=20, max_seconds=60)
        run = self.running()
        loaded = inputs.load(run)
        self.assertEqual((loaded.max_rounds, loaded.deadline), (3, 60.0))

    def test_a_reply_comes_to_its_end_when_its_tokens_or_its_money_are_used_up(self):
        budget = self.budget(max_tokens=100, period="reply")
        self.consume(tokens=100)  # counts for itself only
        run = self.running()
        run._count(Usage(99))
        self.assertEqual(run._budget_spent(), "")
        run._count(Usage(1))
        self.assertEqual(run._budget_spent(), "The budget “Fair share” is used up: 100 tokens in a reply.")
        budget.write({"max_tokens": 0, "max_cost": 100})
        self.assertIn("100.00 in a reply", run._budget_spent())

    def test_a_reply_comes_to_its_end_when_others_have_used_the_budget_up(self):
        self.budget(max_tokens=100, per_person=False)
        run = self.running()
        self.consume(tokens=100, user=self.bob)
        self.assertIn("“Fair share” is used up: 100 tokens a day. It starts anew on", run._budget_spent())

    def test_limits_on_replies_end_none_that_is_being_made(self):
        self.budget(max_runs=1, max_concurrent=1)
        self.assertEqual(self.running()._budget_spent(), "")

    def test_a_reply_that_goes_on_elsewhere_still_has_to_come_to_its_end(self):
        self.budget(max_tokens=100)
        run = self.running()
        run.transcript = [encode_turn(Turn(AssistantMessage("Let me see.")))]
        run._count(Usage(100))
        run._requeue()
        run._begin(2)
        self.assertIn("100 tokens a day", inputs.load(run).spent)

    def test_a_reply_that_has_not_begun_when_the_budget_is_used_up_is_refused(self):
        self.budget(max_tokens=100)
        run = self.running()
        self.consume(tokens=100)
        with self.assertRaises(BudgetSpent):
            inputs.load(run)


class TestShowing(BudgetCase):
    def test_a_line_says_what_is_limited(self):
        budget = self.budget(max_rounds=5, max_concurrent=1, max_runs=20, max_tokens=100_000, period="month")
        self.assertEqual(
            budget.summary, "5 rounds · 1 reply at once · 20 replies a month · 100,000 tokens a month"
        )
        self.assertEqual(self.budget().summary, "")

    def test_a_line_says_for_whom_it_is(self):
        group = self.env.ref("base.group_user")
        for values, text in (
            ({}, "Everybody, each on their own"),
            ({"per_person": False}, "Everybody, together"),
            ({"user_id": self.ann.id}, self.ann.name),
            ({"group_id": group.id, "per_person": False}, f"{group.display_name}, together"),
        ):
            with self.subTest(text):
                self.assertEqual(self.budget(**values).audience, text)

    def test_managers_see_who_has_used_how_much(self):
        budget = self.budget(max_tokens=200).with_user(self.boss)
        self.assertIn("Nothing so far", budget.used)
        self.consume(tokens=50)
        self.consume(tokens=200, user=self.bob)
        budget.invalidate_recordset()
        values = budget._used_values()
        self.assertEqual(
            [(name, used[:2], percent) for name, used, percent in values["rows"]],
            [(self.bob.name, (1, 200), 100), (self.ann.name, (1, 50), 25)],
        )
        budget.per_person = False
        self.assertEqual(budget._used_values()["rows"][-1], ("All together", (2, 250, 250.0), 125))
        self.assertIn(self.ann.name, Form(budget).used)

    def test_managers_see_the_runs_that_count(self):
        budget = self.budget(max_runs=5, user_id=self.bob.id)
        runs = self.consume(), self.consume(user=self.bob)
        self.assertEqual(self.env["ai.run"].search(budget.action_view_runs()["domain"]), runs[1])
