"""What a run consumes: tokens, money, time. Counted reply by reply of the model, so that no attempt counts twice."""

from odoo import fields, models

from ..services.messages import Usage
from .ai_run import MANAGERS


class AiRun(models.Model):
    _inherit = "ai.run"

    provider_id = fields.Many2one(
        "ai.provider", readonly=True, ondelete="set null", index="btree_not_null", groups=MANAGERS,
        help="The server on which the model was asked.",
    )
    model_name = fields.Char("Model", readonly=True, groups=MANAGERS, help="The model that answered.")
    input_tokens = fields.Integer(
        "Tokens In", readonly=True, help="What the model read, over all rounds, as the provider counted it."
    )
    cached_tokens = fields.Integer(
        "Tokens Cached", readonly=True,
        help="Those of the tokens in that the provider still had from an earlier request; they cost less with some.",
    )
    output_tokens = fields.Integer(
        "Tokens Out", readonly=True, help="What the model wrote, over all rounds, as the provider counted it."
    )
    cost = fields.Float(
        digits=(16, 6), readonly=True, groups=MANAGERS,
        help="What the tokens cost, by the prices that the model had when it was asked. 0: nobody has entered any.",
    )
    currency_id = fields.Many2one("res.currency", readonly=True, help="The currency of the costs: the company's.")
    duration = fields.Float(
        "Duration (s)", digits=(16, 2), readonly=True, aggregator="avg",
        help="Seconds from the request to the end. The time in which the run waited for a person counts.",
    )

    def _answering(self):
        """Who answers, as the assistant is set up now."""
        return {
            "provider_id": self.assistant_id.provider_id.id,
            "model_name": self.assistant_id.model,
            "currency_id": self.company_id.currency_id.id,
        }

    def _count(self, usage):
        """Add what one reply of the model has consumed, at today's prices."""
        card = self.env["ai.model"].with_company(self.company_id)._find(self.provider_id, self.model_name)
        self.write({
            "input_tokens": self.input_tokens + usage.input_tokens,
            "output_tokens": self.output_tokens + usage.output_tokens,
            "cached_tokens": self.cached_tokens + usage.cached_tokens,
            "cost": self.cost + card._cost(usage, self.currency_id, fields.Date.today()),
        })

    def _usage(self):
        return Usage(self.input_tokens, self.output_tokens, self.cached_tokens)

    def _seconds_taken(self):
        """From the request to this transaction."""
        return (self.env.cr.now() - self.create_date).total_seconds()
