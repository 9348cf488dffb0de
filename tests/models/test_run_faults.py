"""Where a manager looks after a run has failed."""

from pathlib import Path

from odoo.exceptions import AccessError

from ...services import errors
from .common import RunCase

TEXTS = Path(__file__).parents[2] / "static" / "src" / "errors" / "common" / "error_texts.js"


class TestRunFaults(RunCase):
    def failed(self, error):
        run = self.running()
        run._finish("error", error=error("It went wrong."))
        return run

    def opened(self, error):
        action = self.failed(error).with_user(self.boss).action_view_settings()
        return action["res_model"], action.get("res_id") or action["domain"]

    def test_what_a_provider_did_leads_to_it(self):
        for error in (errors.ModelUnreachable, errors.ModelRejectedKey, errors.ModelRateLimited):
            with self.subTest(error=error.code):
                self.assertEqual(self.opened(error), ("ai.provider", self.assistant.provider_id.id))

    def test_what_is_missing_leads_to_the_assistant(self):
        self.assertEqual(self.opened(errors.NotConfigured), ("ai.assistant", self.assistant.id))

    def test_a_budget_that_is_used_up_leads_to_it_and_several_to_all_of_them(self):
        one = self.env["ai.budget"].create({"name": "One", "max_tokens": 1000})
        self.assertEqual(self.opened(errors.BudgetSpent), ("ai.budget", one.id))
        two = self.env["ai.budget"].create({"name": "Two", "max_tokens": 1000})
        self.assertEqual(self.opened(errors.BudgetSpent), ("ai.budget", [("id", "in", [one.id, two.id])]))

    def test_only_managers_are_led_there(self):
        with self.assertRaises(AccessError):
            self.failed(errors.ModelUnreachable).with_user(self.ann).action_view_settings()

    def test_the_web_client_has_a_sentence_for_each_error(self):
        texts = TEXTS.read_text()
        for error in (errors.RunError, *errors.RunError.__subclasses__()):
            self.assertIn(f"    {error.code}: {{", texts)
