"""What budgets (`ai.budget`) mean for a run: it is refused, has fewer rounds and seconds, or has to come to its end."""

from datetime import timedelta

from odoo import api, models
from odoo.exceptions import ConcurrencyError
from odoo.fields import Domain

from ..services.errors import BudgetSpent
from ..services.states import RunState

REFUSED_ONCE_IN = timedelta(minutes=1)  # who goes on writing meanwhile has read why nobody answers


class AiRun(models.Model):
    _inherit = "ai.run"

    _requested_index = models.Index("(create_date)")  # what was consumed in a period

    @api.model
    def _check_new_request(self, channel, idempotency_key):
        """Whether what is refused is not the repetition of a request that was granted at this very moment.

        Raises:
            ConcurrencyError: it is; the repeated transaction will find its run.
        """
        if not idempotency_key:
            return
        with self.env.registry.cursor() as cr:  # this transaction sees only what was there when it began
            if self.with_env(self.env(cr=cr))._find_request(channel, idempotency_key):
                raise ConcurrencyError("The same request was made in another transaction.")

    @api.model
    def _refuse(self, channel, assistant, message, refusal):
        """Answer `message` with why nobody does, a `RateLimited`, and without a host. Once in a while: people and
        programs that go on writing don't fill the conversation with it."""
        # sudo: ai.run - the caller's own, in a conversation in which they have just written
        runs = self.sudo()
        if runs.search_count([
            ("channel_id", "=", channel.id),
            ("user_id", "=", self.env.uid),
            ("assistant_id", "=", assistant.id),
            ("error_code", "=", BudgetSpent.code),
            ("create_date", ">", self.env.cr.now() - REFUSED_ONCE_IN),
        ], limit=1):
            return
        run = runs.create(self._request_values(channel, assistant, message))
        run.env["ai.run.event"]._append(run, [run._started_event()])
        run._finish(RunState.ERROR, error=BudgetSpent(str(refusal)))

    # -- for its host

    def _budgets(self):
        """The budgets of the run, with sudo, in the language of the one who asked."""
        self.ensure_one()
        budgets = self.env["ai.budget"]._applying(self.assistant_id, self.user_id, self.company_id)
        return budgets.with_context(lang=self.lang or "en_US")

    def _strictest(self, name, otherwise):
        """The strictest limit `name` of the run's budgets and of `otherwise`."""
        return min([otherwise, *filter(None, self._budgets().mapped(name))])

    def _budget_spent(self):
        """Which budget is used up, and until when, in a text for people; empty while none is."""
        for budget in self._budgets():
            if budget.period == "reply":
                if limit := budget._limit_reached(Domain("id", "=", self.id)):
                    return budget._used_up_text(limit)
            elif limit := budget._limit_reached(budget._counted(self.user_id) & budget._in_period()):
                return str(budget._refused(limit, self.user_id))
        return ""
