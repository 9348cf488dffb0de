"""Settings of the whole database: how much of what tools return goes where, and how long people are waited for."""

from dataclasses import asdict

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.tools import str2bool

from ..services.specs import Limits

MEGABYTE = 1024 * 1024
NUMBERS = {  # by setting: the parameter behind it, in which unit, and between what people may choose
    "ai_result_chars": ("result_chars", 1, 1_000, 1_000_000),
    "ai_kept_chars": ("kept_chars", 1, 1_000, 20_000_000),
    "ai_part_megabytes": ("part_bytes", MEGABYTE, 0.1, 12),  # of 16 MB, which are read of an answer, 12 are files
    "ai_approval_hours": ("approval_hours", 1, 0, 8_760),
}
DEFAULTS = {**asdict(Limits()), "approval_hours": 24.0}  # by parameter; what is a whole number here is one everywhere


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
    ai_approval_hours = fields.Float(
        "Approvals Expire",
        help="After how many hours a call that nobody has decided on is denied; 0: never. "
        "It holds for calls from now on: those that wait already keep the time that they were given.",
    )

    ai_remote_images = fields.Boolean(
        "Remote Images", config_parameter="ai_discuss.remote_images",
        help="Images in replies are loaded from wherever the model says they are. Their server then learns who reads a "
        "reply, and a model that was deceived can tell it what it knows. Off: they are shown as links.",
    )

    @api.constrains(*NUMBERS)
    def _check_ai_numbers(self):
        for settings in self:
            for field, (_name, _unit, low, high) in NUMBERS.items():
                if not low <= settings[field] <= high:
                    raise ValidationError(settings.env._(
                        "“%(setting)s” must be between %(low)s and %(high)s.",
                        setting=settings._fields[field].get_description(settings.env, ["string"])["string"],
                        low=f"{low:,}", high=f"{high:,}",
                    ))

    @api.private
    @api.model
    def get_values(self):
        return super().get_values() | {
            field: self._ai_number(field) / unit for field, (_name, unit, _low, _high) in NUMBERS.items()
        }

    @api.private
    def set_values(self):
        super().set_values()
        for field, (name, unit, _low, _high) in NUMBERS.items():
            self.env["ir.config_parameter"].set_param(f"ai_discuss.{name}", _as_default(name, self[field] * unit))

    @api.model
    def _ai_remote_images(self):
        # sudo: ir.config_parameter - whether images are loaded is no secret
        return str2bool(self.env["ir.config_parameter"].sudo().get_param("ai_discuss.remote_images", ""), False)

    @api.model
    def _ai_limits(self):
        """The limits in force."""
        return Limits(
            result_chars=self._ai_number("ai_result_chars"),
            kept_chars=self._ai_number("ai_kept_chars"),
            part_bytes=self._ai_number("ai_part_megabytes"),
        )

    @api.model
    def _ai_approval_hours(self):
        """How long a call waits for a decision before it is denied; 0: for ever."""
        return self._ai_number("ai_approval_hours")

    def _ai_number(self, field):
        """What is in force. A parameter may have been written by hand: what is no number counts for nothing, what is
        out of bounds for the nearest that is not."""
        name, unit, low, high = NUMBERS[field]
        # sudo: ir.config_parameter - how long a result may be, or a call may wait, is no secret
        written = self.env["ir.config_parameter"].sudo().get_param(f"ai_discuss.{name}", DEFAULTS[name])
        try:
            return _as_default(name, min(max(low * unit, float(written)), high * unit))
        except ValueError:
            return DEFAULTS[name]


def _as_default(name, number):
    """`number` in the type that the default of its parameter has."""
    return round(number) if isinstance(DEFAULTS[name], int) else number
