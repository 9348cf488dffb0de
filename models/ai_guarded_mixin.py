"""Addresses that this server calls because somebody has typed them in.

Only administrators may have it call inside the network; what anybody else enters leads to public addresses or nowhere
(`services.url_guard`). Who has entered an address is remembered with it, because it is called much later.
"""

from odoo import api, fields, models
from odoo.exceptions import ValidationError

from ..services import url_guard
from .common import is_http_url

ADMINISTRATORS = "base.group_system"


class AiGuardedMixin(models.AbstractModel):
    _name = "ai.guarded.mixin"
    _description = "Address that may be guarded"
    _address_field = "url"

    guarded = fields.Boolean(
        "Public Addresses Only", copy=False, groups=ADMINISTRATORS,
        help="The address may not lead inside the network. It is set where somebody who is no administrator enters the "
        "address; an administrator who enters it, or clears this, vouches for where it leads.",
    )

    @api.model_create_multi
    def create(self, vals_list):
        records = super().create(vals_list)
        if not self.env.user.has_group(ADMINISTRATORS):
            records._guard(True)
        return records

    def write(self, vals):
        address, moved = vals.get(self._address_field), self.browse()
        is_administrator = self.env.user.has_group(ADMINISTRATORS)
        if self._address_field in vals and "guarded" not in vals:
            moved = self.filtered(lambda record: is_administrator or record[self._address_field] != address)
        result = super().write(vals)
        moved._guard(not is_administrator)
        return result

    def _guard(self, guarded):
        # sudo: ai.guarded.mixin - whoever may enter the address, only an administrator's own is not guarded
        self.sudo().filtered(lambda record: record.guarded != guarded).guarded = guarded

    def _is_guarded(self):
        """Whether the address comes from a person who may have this machine call public addresses only."""
        self.ensure_one()
        # sudo: ai.guarded.mixin - only the answer leaves this method
        return self.sudo().guarded

    def _check_public_address(self):
        """Early, for who mistypes; what a name leads to is judged by whoever connects."""
        for record in self:
            address = record[self._address_field]
            if is_http_url(address) and record._is_guarded() and url_guard.is_plainly_internal(address):
                raise ValidationError(self.env._(
                    "The address is inside a private network, which only administrators may use."
                ))
