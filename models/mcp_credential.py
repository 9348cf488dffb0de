"""What one person authenticates with at a shared server that asks everybody for credentials of their own.

It exists for its owner alone; others only learn how many there are.
"""

from odoo import api, fields, models
from odoo.exceptions import AccessError, ValidationError

from ..services.mcp_port import CREDENTIALS_REJECTED
from .common import notification

WANTED = [  # by these servers
    ("per_user", "=", True), ("scope", "=", "shared"), ("transport", "!=", "stdio"), ("auth_type", "!=", "none"),
]

ENTERED = ["|", ("stored_token", "!=", False), ("stored_headers", "!=", False)]  # as opposed to an empty form


class McpCredential(models.Model):
    _name = "mcp.credential"
    _description = "Credentials of a Person"
    _inherit = ["mcp.identity.mixin"]
    _order = "server_id, id"
    _rec_name = "server_id"

    server_id = fields.Many2one(
        "mcp.server", required=True, index=True, ondelete="cascade",
        domain=WANTED, default=lambda self: self._default_server(),
        help="The server to which these credentials are sent, and no other.",
    )
    user_id = fields.Many2one(
        "res.users", "Person", required=True, readonly=True, index=True, ondelete="cascade",
        default=lambda self: self.env.user, help="In whose questions to assistants they are used.",
    )
    auth_type = fields.Selection(related="server_id.auth_type")
    state = fields.Selection(
        [("draft", "Not tested"), ("connected", "Accepted"), ("error", "Refused")],
        "Status",
        required=True,
        default="draft",
        readonly=True,
        copy=False,
        help="How the server took these credentials when they were last used or tested.",
    )
    state_message = fields.Text("Message", readonly=True, copy=False, help="Why they could not be used.")

    _server_user_unique = models.UniqueIndex(
        "(server_id, user_id)", "A person has only one set of credentials for each server."
    )

    @api.model
    def _default_server(self):
        """The one server that still waits for the person's credentials, where it is only one."""
        waiting = self.env["mcp.server"].search(WANTED)
        waiting -= self.search([("user_id", "=", self.env.uid)]).server_id
        return waiting if len(waiting) == 1 else waiting.browse()

    @api.constrains("server_id", "user_id")
    def _check_server(self):
        for credential in self:
            if not credential.server_id._wants_own_credentials():
                raise ValidationError(self.env._("This server does not ask people for credentials of their own."))

    def write(self, vals):
        if self._is_given_away(vals):
            raise ValidationError(self.env._("Credentials are for one server and one person. Enter new ones instead."))
        if not self._secret_fields.keys().isdisjoint(vals):
            vals = {"state": "draft", "state_message": False, **vals}
        return super().write(vals)

    def action_test_connection(self):
        """Connect to the server with these credentials."""
        self.ensure_one()
        self.check_access("write")
        found, problem = self.server_id._ask_for_tools(self.user_id)
        self._record(problem)
        if problem:
            return notification(problem, "danger", self.env._("%(server)s cannot be used", server=self.server_id.name))
        return notification(self.env._("Connected. Tools on offer: %(count)s.", count=len(found)))

    def _record(self, problem):
        """Remember how the server took the credentials; `problem` is empty where it accepted them."""
        self.write({"state": "error" if problem else "connected", "state_message": problem or False})

    def _is_given_away(self, vals):
        return any(
            field in vals and credential[field].id != vals[field]
            for credential in self for field in ("server_id", "user_id")
        )


class McpServer(models.Model):
    _inherit = "mcp.server"

    per_user = fields.Boolean(
        "Own credentials for each person",
        help="In a person's questions the server is called with that person's own credentials, and for whoever has "
        "entered none its tools are left out. What is stored here then only serves to synchronise the tools.",
    )
    credential_count = fields.Integer(
        compute="_compute_credential_count", help="How many people have entered their credentials."
    )

    def _compute_credential_count(self):
        # sudo: mcp.credential - how many there are, and not whose
        credentials = self.env["mcp.credential"].sudo()
        counts = dict(credentials._read_group([("server_id", "in", self.ids), *ENTERED], ["server_id"], ["__count"]))
        for server in self:
            server.credential_count = counts.get(server, 0)

    def action_my_credentials(self):
        """The caller's own credentials for this server, or the form to enter them."""
        self.ensure_one()
        self.check_access("read")
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("My Credentials"),
            "res_model": "mcp.credential",
            "res_id": self._credential_of(self.env.user).id,
            "views": [(False, "form")],
            "context": {"default_server_id": self.id},
        }

    def _credential_of(self, user):
        """What `user` has entered for this server, with sudo."""
        # sudo: mcp.credential - for the engine, and for the person's own form
        return self.env["mcp.credential"].sudo().search([("server_id", "=", self.id), ("user_id", "=", user.id)])

    def _wants_own_credentials(self):
        return bool(self.filtered_domain(WANTED))

    def _identity(self, user):
        if not user or not self._wants_own_credentials():
            return super()._identity(user)
        if problem := self._credential_problem(user):
            raise AccessError(problem)
        return user.id, self._credential_of(user)._request_headers(self.auth_type)

    def _credential_problem(self, user):
        """What keeps runs of `user` from being known to the server, and where it is mended; empty if nothing."""
        if not self._wants_own_credentials() or self._credential_of(user)._request_headers(self.auth_type):
            return ""
        return self.env._(
            "%(server)s wants your own credentials. Enter them under AI Assistants ▸ My Credentials.", server=self.name
        )

    def _record_problem(self, problem):
        """A person whose own credentials are turned down has to enter others; the server is well."""
        credential = self._wants_own_credentials() and self._credential_of(self.env.user)
        if credential and problem.startswith(CREDENTIALS_REJECTED):
            credential._record(problem)
        else:
            super()._record_problem(problem)

    def _lister(self):
        """Shared tools are listed as the person at the button, or else as the server's own account."""
        user = self.env.user
        return user if self._credential_of(user)._request_headers(self.auth_type) else None

    def _forget_secrets(self, except_fields):
        super()._forget_secrets(except_fields)
        # sudo: mcp.credential - other people's credentials are for the old address, too
        self.env["mcp.credential"].sudo().search([("server_id", "in", self.ids)]).unlink()
