"""What the web client knows of the person in front of it."""

from odoo import models

from .ai_run import MANAGERS


class ResUsers(models.Model):
    _inherit = "res.users"

    def _init_store_data(self, store):
        super()._init_store_data(store)
        store.add_global_values(is_ai_manager=self.env.user.has_group(MANAGERS))
