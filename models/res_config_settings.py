"""Settings of the whole database: how much of what tools return goes where."""

from odoo import api, fields, models
from odoo.exceptions import ValidationError

from ..services.specs import Limits

MEGABYTE = 1024 * 1024
LIMITS = {  # by setting: which limit it is, in which unit, and between what people may choose
    "ai_result_chars": ("result_chars", 1, 1_000, 1_000_000),
    "ai_kept_chars": ("kept_chars", 1, 1_000, 20_000_000),
    "ai_part_megabytes": ("part_bytes", MEGABYTE, 0.1, 12),  # of 16 MB, which are read of an answer, 12 are files
}


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    ai_result_chars = fields.Integer(
        "Results for the Model",
        help="How many characters of a tool's result the model reads; of a longer one its beginning and its end. "
        "A thousand characters are some 250 tokens, which are paid for in each later request of the same reply.",
    )
    ai_kept_chars = fields.Integer(
        "Results for People",
        help="How many characters of a result that is too long for the model are kept, as a file at the reply.",
    )
    ai_part_megabytes = fields.Float(
        "Files",
        help="How large (in MB) an image, sound or file that a tool returns may be; a larger one is only mentioned.",
    )

    @api.constrains(*LIMITS)
    def _check_ai_limits(self):
        for settings in self:
            for field, (_name, _unit, low, high) in LIMITS.items():
                if not low <= settings[field] <= high:
                    raise ValidationError(settings.env._(
                        "“%(setting)s” must be between %(low)s and %(high)s.",
                        setting=settings._fields[field].get_description(settings.env, ["string"])["string"],
                        low=f"{low:,}", high=f"{high:,}",
                    ))

    @api.model
    def get_values(self):
        limits = self._ai_limits()
        return super().get_values() | {
            field: getattr(limits, name) / unit for field, (name, unit, _low, _high) in LIMITS.items()
        }

    def set_values(self):
        super().set_values()
        for field, (name, unit, _low, _high) in LIMITS.items():
            self.env["ir.config_parameter"].set_param(f"ai_discuss.{name}", round(self[field] * unit))

    @api.model
    def _ai_limits(self):
        """The limits in force. A parameter may have been written by hand: what is no number counts for nothing, what is
        out of bounds for the nearest that is not."""
        return Limits(**{
            name: self._ai_limit(name, round(low * unit), high * unit) for name, unit, low, high in LIMITS.values()
        })

    def _ai_limit(self, name, low, high):
        default = getattr(Limits(), name)
        # sudo: ir.config_parameter - how long a result may be is no secret
        written = self.env["ir.config_parameter"].sudo().get_param(f"ai_discuss.{name}", default)
        try:
            return min(max(int(written), low), high)
        except ValueError:
            return default
