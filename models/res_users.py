"""What the web client knows of the person in front of it."""

from odoo import models
from odoo.addons.mail.tools.discuss import Store

from .ai_run import MANAGERS


class ResUsers(models.Model):
    _inherit = "res.users"

    def _init_store_data(self, store):
        super()._init_store_data(store)
        user = self.env.user
        store.add_global_values(
            ai_remote_images=self.env["res.config.settings"]._ai_remote_images(),
            is_ai_manager=user.has_group(MANAGERS),
        )
        if user._is_internal():
            partners = self.env["ai.assistant"]._usable_by(user).partner_id
            store.add_global_values(aiAssistants=Store.Many(partners, partners._ai_store_fields()))
