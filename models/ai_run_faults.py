"""Where to look after a run has failed: the settings that its error is about. What people read of it, the web client
knows (static/src/errors)."""

from odoo import models
from odoo.exceptions import AccessError

from ..services import errors
from .ai_run import MANAGERS

OF_PROVIDER = {
    error.code
    for error in (
        errors.ModelRateLimited, errors.ModelRefused, errors.ModelRejectedKey, errors.ModelTimeout,
        errors.ModelUnreachable,
    )
}


class AiRun(models.Model):
    _inherit = "ai.run"

    def action_view_settings(self):
        """For managers: open the provider, the budgets or the assistant that the run's error is about."""
        self.check_access("read")
        if not self.env.user.has_group(MANAGERS):
            raise AccessError(self.env._("Only managers of assistants may do this."))
        settings = self._settings_at_fault()
        action = {"type": "ir.actions.act_window", "name": settings._description, "res_model": settings._name}
        if len(settings) == 1:
            return {**action, "views": [(False, "form")], "res_id": settings.id}
        return {**action, "views": [(False, "list"), (False, "form")], "domain": [("id", "in", settings.ids)]}

    def _settings_at_fault(self):
        self.ensure_one()
        if self.error_code == errors.BudgetSpent.code:
            return self._budgets()
        if self.error_code in OF_PROVIDER and self.assistant_id.provider_id:
            return self.assistant_id.provider_id
        return self.assistant_id
