"""What is known of a model: found by its name, kept by managers, and what its answers cost."""

from datetime import date

from odoo.exceptions import AccessError, ValidationError
from odoo.tests import Form
from odoo.tools import mute_logger
from psycopg2 import IntegrityError

from ...services.messages import Usage
from .common import AiCase


class TestAiModel(AiCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.euro = cls.env.ref("base.EUR")
        cls.model = cls.env["ai.model"].create({
            "provider_id": cls.provider.id,
            "name": "small",
            "input_price": 2.0,
            "cached_price": 0.5,
            "output_price": 8.0,
            "currency_id": cls.euro.id,
        })

    def test_a_model_is_found_by_its_provider_and_its_name(self):
        other = self.env["ai.provider"].create({"name": "Other", "base_url": "http://127.0.0.1:2/v1"})
        find = self.env["ai.model"]._find
        self.assertEqual(find(self.provider, "small"), self.model)
        self.assertFalse(find(other, "small"))
        self.assertFalse(find(self.provider, "large"))

    def test_tokens_that_were_cached_cost_their_own_price(self):
        usage = Usage(input_tokens=1_000_000, output_tokens=500_000, cached_tokens=400_000)
        self.assertAlmostEqual(self.model._cost(usage, self.euro, date(2026, 1, 1)), 1.2 + 0.2 + 4.0)

    def test_without_a_price_of_their_own_cached_tokens_cost_what_others_do(self):
        self.model.cached_price = 0
        usage = Usage(input_tokens=1_000_000, cached_tokens=400_000)
        self.assertAlmostEqual(self.model._cost(usage, self.euro, date(2026, 1, 1)), 2.0)

    def test_a_single_token_still_costs_something(self):
        self.assertAlmostEqual(self.model._cost(Usage(input_tokens=1), self.euro, date(2026, 1, 1)), 0.000002, 9)

    def test_the_cost_is_converted_by_the_rate_of_the_day(self):
        coin = self.env["res.currency"].create({"name": "QQQ", "symbol": "Q", "rounding": 0.01})
        self.env["res.currency.rate"].create([
            {"currency_id": coin.id, "name": day, "rate": rate, "company_id": self.env.company.id}
            for day, rate in (("2026-01-01", 2.0), ("2026-02-01", 4.0))
        ])
        own = self.env.company.currency_id
        self.model.currency_id = own
        usage = Usage(input_tokens=1_000_000)
        self.assertAlmostEqual(self.model._cost(usage, coin, date(2026, 1, 15)), 4.0)
        self.assertAlmostEqual(self.model._cost(usage, coin, date(2026, 2, 15)), 8.0)

    def test_what_is_not_known_costs_nothing(self):
        nobody = self.env["ai.model"]
        self.assertEqual(nobody._cost(Usage(1000, 1000), self.euro, date(2026, 1, 1)), 0.0)

    def test_a_provider_has_a_model_once(self):
        with mute_logger("odoo.sql_db"), self.assertRaises(IntegrityError):
            self.model.copy()

    def test_a_model_has_a_name_and_no_negative_figures(self):
        with self.assertRaises(ValidationError):
            self.model.name = " "
        for values in ({"context_tokens": -1}, {"output_price": -0.1}):
            with mute_logger("odoo.sql_db"), self.assertRaises(IntegrityError), self.cr.savepoint():
                self.model.write(values)

    def test_only_managers_of_the_providers_company_see_it(self):
        self.assertEqual(self.model.with_user(self.mia).name, "small")
        with self.assertRaises(AccessError):
            self.model.with_user(self.ann).read(["name"])
        self.provider.company_id = self.other_company
        self.assertFalse(self.env["ai.model"].with_user(self.mia)._find(self.provider, "small"))

    def test_the_engine_is_told_what_the_model_reads_and_sees_without_rights_on_it(self):
        self.model.write({"context_tokens": 32_000, "sees_images": True})
        spec = self.provider.with_user(self.ann)._model_spec("small")
        self.assertEqual((spec.context_tokens, spec.sees_images), (32_000, True))
        spec = self.provider.with_user(self.ann)._model_spec("large")
        self.assertEqual((spec.context_tokens, spec.sees_images), (0, False))

    def test_an_assistant_shows_what_its_model_reads_sees_and_costs(self):
        self.model.write({"context_tokens": 32_000, "sees_images": True})
        assistant = self.assistant.with_user(self.mia)
        self.assertEqual(assistant.known_model_id, self.model)
        self.assertEqual(
            assistant.model_summary, "Reads 32,000 tokens · Sees images · EUR 2 in / 8 out per million"
        )
        self.assertEqual(assistant.action_describe_model()["res_id"], self.model.id)
        assistant.model = "large"
        self.assertFalse(assistant.known_model_id or assistant.model_summary)

    def test_a_model_that_nobody_has_described_is_described_from_its_assistant(self):
        assistant = self.assistant.with_user(self.mia)
        assistant.model = "large"
        action = assistant.action_describe_model()
        with Form(self.env["ai.model"].with_user(self.mia).with_context(action["context"])) as form:
            form.context_tokens = 8_000
        self.assertEqual(assistant.known_model_id, form.record)
        self.assertEqual((form.record.name, form.record.currency_id), ("large", self.env.company.currency_id))

    def test_models_are_listed_on_the_form_of_their_provider(self):
        with Form(self.provider.with_user(self.mia)) as form, form.model_ids.new() as line:
            line.name, line.output_price = "large", 0.000125
        self.assertEqual(self.env["ai.model"]._find(self.provider, "large").output_price, 0.000125)
