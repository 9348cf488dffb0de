"""What runs consume: tokens, money and time, each counted once."""

from datetime import timedelta

from odoo.addons.ai_discuss.services.messages import Usage, UserMessage
from odoo.addons.ai_discuss.services.specs import Outcome
from odoo.addons.ai_discuss.services.states import RunState
from odoo.exceptions import AccessError
from odoo.tests import Form

from .common import RunCase

MANAGERS_ONLY = ("provider_id", "model_name", "cost")


class UsageCase(RunCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.card = cls.env["ai.model"].create({
            "provider_id": cls.assistant.provider_id.id,
            "name": "scripted",
            "input_price": 2.0,
            "cached_price": 0.5,
            "output_price": 8.0,
        })


class TestCounting(UsageCase):
    def test_a_run_knows_who_answered_and_in_which_currency_it_is_paid(self):
        run = self.running()
        self.assertEqual((run.provider_id, run.model_name), (self.assistant.provider_id, "scripted"))
        self.assertEqual(run.currency_id, self.env.company.currency_id)

    def test_tokens_cost_what_the_card_of_their_model_says(self):
        run = self.running()
        run._count(Usage(input_tokens=1000, output_tokens=500, cached_tokens=400))
        self.assertEqual((run.input_tokens, run.output_tokens, run.cached_tokens), (1000, 500, 400))
        self.assertAlmostEqual(run.cost, (600 * 2.0 + 400 * 0.5 + 500 * 8.0) / 1e6, 9)

    def test_each_reply_of_the_model_adds_to_the_run(self):
        run = self.running()
        for _round in range(2):
            run._count(Usage(input_tokens=1000, output_tokens=100))
        self.assertEqual((run.input_tokens, run.output_tokens), (2000, 200))
        self.assertAlmostEqual(run.cost, 2 * (1000 * 2.0 + 100 * 8.0) / 1e6, 9)

    def test_a_run_that_was_parked_and_goes_on_elsewhere_counts_nothing_twice(self):
        run = self.running()
        run._count(Usage(1000, 100))
        run._park([UserMessage("Hello?")], Outcome("", 1, Usage(1000, 100)))
        run._begin(2)
        run._requeue()
        run._begin(3)
        run._count(Usage(500, 50))
        run._finish(RunState.DONE, "Done.")
        usage = {"input_tokens": 1500, "output_tokens": 150, "cached_tokens": 0}
        self.assertEqual(self.frames(run)[-1]["usage"], usage)
        self.assertAlmostEqual(run.cost, (1500 * 2.0 + 150 * 8.0) / 1e6, 9)

    def test_what_is_paid_stays_as_it_was_when_prices_or_models_change(self):
        run = self.running()
        run._count(Usage(1000))
        self.card.input_price = 20.0
        run._count(Usage(1000))
        run._requeue()
        self.assistant.model = "unpriced"
        run._begin(2)
        run._count(Usage(1000))
        self.assertAlmostEqual(run.cost, (1000 * 2.0 + 1000 * 20.0) / 1e6, 9)
        self.assertEqual(run.model_name, "unpriced")

    def test_a_model_without_a_card_costs_nothing(self):
        self.card.unlink()
        run = self.running()
        run._count(Usage(1000, 100))
        self.assertEqual((run.input_tokens, run.cost), (1000, 0))

    def test_it_lasts_from_the_request_to_the_end(self):
        run = self.running()
        self.env.flush_all()
        asked_at = self.env.cr.now() - timedelta(seconds=2.5)
        self.env.cr.execute("UPDATE ai_run SET create_date = %s WHERE id = %s", [asked_at, run.id])
        run.invalidate_recordset()
        run._finish(RunState.DONE, "Done.")
        self.assertAlmostEqual(run.duration, 2.5, 2)


class TestShowing(UsageCase):
    def test_managers_sum_up_by_assistant_person_model_and_month(self):
        for _time in range(2):
            run = self.running()
            run._count(Usage(1000, 100))
            run._finish(RunState.DONE, "Done.")
        [row] = self.env["ai.run"].with_user(self.boss)._read_group(
            [("assistant_id", "=", self.assistant.id)],
            ["assistant_id", "user_id", "model_name", "create_date:month"],
            ["input_tokens:sum", "output_tokens:sum", "cost:sum", "__count"],
        )
        self.assertEqual(row[:3], (self.assistant, self.ann, "scripted"))
        self.assertEqual((*row[4:6], row[7]), (2000, 200, 2))
        self.assertAlmostEqual(row[6], 0.0056, 6)

    def test_what_the_assistant_is_made_of_and_costs_is_for_managers(self):
        run = self.running()
        for name in MANAGERS_ONLY:
            with self.assertRaises(AccessError):
                run.with_user(self.ann).read([name])
        self.assertEqual(run.with_user(self.boss).model_name, "scripted")
        self.assertEqual(Form(run.with_user(self.ann)).input_tokens, 0)
        self.assertIn("cost", Form(run.with_user(self.boss))._view["fields"])
