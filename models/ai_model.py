"""What is known of a language model: how much it reads, whether it sees images, what it costs.

Not a choice: assistants name their model freely, and one that nobody has described here works as well.
"""

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.tools import formatLang

TOKENS_PER_PRICE = 1_000_000


class AiModel(models.Model):
    _name = "ai.model"
    _description = "AI Model"
    _order = "provider_id, name"

    provider_id = fields.Many2one(
        "ai.provider", required=True, ondelete="cascade", index=True, help="The server that runs the model."
    )
    name = fields.Char("Model", required=True, help="The model's name as the provider knows it.")
    context_tokens = fields.Integer(
        "Context",
        help="How many tokens the model reads at a time, its answer included. Older parts of long conversations are "
        "left out so that they fit. 0: not known.",
    )
    sees_images = fields.Boolean(
        help="Images that tools return are shown to the model. Off: they are only described to it."
    )
    input_price = fields.Float(digits=(16, 6), help="What a million tokens cost that the model reads.")
    cached_price = fields.Float(
        digits=(16, 6),
        help="What a million tokens cost that the provider still had from an earlier request. "
        "0: as much as any other token that the model reads.",
    )
    output_price = fields.Float(digits=(16, 6), help="What a million tokens cost that the model writes.")
    currency_id = fields.Many2one(
        "res.currency", required=True, default=lambda self: self.env.company.currency_id,
        help="The currency of the prices.",
    )
    summary = fields.Char(compute="_compute_summary", help="What is known of the model, in a line.")

    _name_unique = models.UniqueIndex("(provider_id, name)", "A provider has only one model of each name.")
    _context_not_negative = models.Constraint(
        "CHECK (context_tokens >= 0)", "A model cannot read less than no tokens."
    )
    _prices_not_negative = models.Constraint(
        "CHECK (input_price >= 0 AND cached_price >= 0 AND output_price >= 0)", "A price cannot be less than nothing."
    )

    @api.depends("context_tokens", "sees_images", "input_price", "output_price", "currency_id")
    def _compute_summary(self):
        for model in self:
            model.summary = " · ".join(filter(None, [
                model.context_tokens and self.env._(
                    "Reads %(count)s tokens", count=formatLang(self.env, model.context_tokens, digits=0)
                ),
                model.sees_images and self.env._("Sees images"),
                (model.input_price or model.output_price) and self.env._(
                    "%(currency)s %(input)s in / %(output)s out per million",
                    currency=model.currency_id.name,
                    input=f"{model.input_price:g}",
                    output=f"{model.output_price:g}",
                ),
            ]))

    @api.constrains("name")
    def _check_name(self):
        for model in self:
            if not model.name.strip():
                raise ValidationError(self.env._("A model needs a name."))

    @api.model
    def _find(self, provider, name):
        """What is known of the model `name` of `provider`; empty where nobody has described it."""
        return self.search([("provider_id", "=", provider.id), ("name", "=", name)])

    def _cost(self, usage, currency, date):
        """What `usage` costs in `currency`, by the rates of `date`; nothing where the model is not known."""
        if not self:
            return 0.0
        self.ensure_one()
        fresh_tokens = usage.input_tokens - usage.cached_tokens
        price = (
            fresh_tokens * self.input_price
            + usage.cached_tokens * (self.cached_price or self.input_price)
            + usage.output_tokens * self.output_price
        ) / TOKENS_PER_PRICE
        company = self.provider_id.company_id or self.env.company
        return self.currency_id._convert(price, currency, company, date, round=False)
