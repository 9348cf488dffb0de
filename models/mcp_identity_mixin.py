"""As whom an MCP server is called: a token or headers that people can write and nobody can read."""

import json

from odoo import api, fields, models
from odoo.exceptions import ValidationError

from .ai_secret_mixin import hidden_column, write_only
from .common import is_header_text


class McpIdentityMixin(models.AbstractModel):
    _name = "mcp.identity.mixin"
    _description = "Credentials for an MCP server"
    _inherit = ["ai.secret.mixin"]
    _secret_fields = {"token": "stored_token", "headers": "stored_headers"}

    token = write_only(
        fields.Char, "Token", help="Sent as Authorization: Bearer … Nobody can read it once it is stored."
    )
    stored_token = hidden_column()
    has_token = fields.Boolean(
        "A token is stored", compute="_compute_has_secrets", help="Whether there is a token; nobody can read it."
    )
    headers = write_only(
        fields.Text, "Headers", help='A JSON object such as {"X-Api-Key": "…"}. Nobody can read it once it is stored.'
    )
    stored_headers = hidden_column()
    has_headers = fields.Boolean(
        "Headers are stored", compute="_compute_has_secrets", help="Whether there are headers; nobody can read them."
    )

    @api.depends("stored_token", "stored_headers")
    def _compute_has_secrets(self):
        for record in self:
            record.has_token = record._has_secret("token")
            record.has_headers = record._has_secret("headers")

    def action_clear_secrets(self):
        """Remove the stored token and headers."""
        self.write({"token": False, "headers": False})

    def _request_headers(self, auth_type):
        """The headers that authenticate in this way, from the hidden columns: for the engine only."""
        # sudo: mcp.identity.mixin - the engine sends what nobody may read
        stored = self.sudo()
        if auth_type == "bearer" and stored.stored_token:
            return (("Authorization", f"Bearer {stored.stored_token}"),)
        if auth_type == "headers" and stored.stored_headers:
            return tuple(json.loads(stored.stored_headers).items())
        return ()

    @api.model
    def _normalise_secret(self, field, value):
        if field != "headers":
            return super()._normalise_secret(field, value)
        text = json.dumps(value) if isinstance(value, dict) else (value or "").strip()
        return self._checked_headers(text) if text else False

    @api.model
    def _checked_headers(self, text):
        try:
            headers = json.loads(text)
        except ValueError:
            headers = None
        if not isinstance(headers, dict) or not all(
            name and isinstance(value, str) and is_header_text(name + value) for name, value in headers.items()
        ):
            raise ValidationError(self.env._('The headers must be a JSON object of texts, such as {"X-Api-Key": "…"}.'))
        return json.dumps(headers)
