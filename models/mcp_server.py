"""A server that offers tools over the Model Context Protocol.

A shared one is set up by a manager for everybody; a user-owned one belongs to one person, whom alone it is visible to.
Not a connection: `services.mcp_pool` holds those, from the `ServerSpec` that `_spec` makes.
"""

import hashlib
import json
import shlex

from odoo import api, fields, models
from odoo.exceptions import AccessError, ValidationError
from odoo.tools import config, str2bool

from ..services.mcp_port import McpUnreachable
from ..services.specs import ServerSpec
from .ai_guarded_mixin import ADMINISTRATORS
from .common import BUTTON_TIMEOUT_SECONDS, ask_outside, forgetting, is_http_url, notification, storable
from .mcp_tool import RULES

IDENTITY_FIELDS = frozenset({"transport", "url", "command", "args"})  # what says which server it really is
HEALTHY = {"state_message": False, "failure_count": 0, "retry_at": False}


class McpServer(models.Model):
    _name = "mcp.server"
    _description = "MCP Server"
    _inherit = ["ai.guarded.mixin", "mcp.identity.mixin"]
    _order = "scope, name, id"

    @api.model
    def _default_scope(self):
        return "shared" if self.env.user.has_group("ai_discuss.group_ai_manager") else "user"

    # what it is
    name = fields.Char(required=True, help="How people recognise the server; it is shown beside each of its tools.")
    active = fields.Boolean(default=True, help="Off: the tools of this server are offered to nobody.")
    transport = fields.Selection(
        [
            ("streamable_http", "Streamable HTTP"),
            ("sse", "SSE (older servers)"),
            ("stdio", "Command on this machine (stdio)"),
        ],
        required=True,
        default="streamable_http",
        help="How the server is reached. Commands are for system administrators, and only where "
        "ai_discuss_stdio is on in odoo.conf.",
    )
    url = fields.Char(
        "URL",
        help="Where the server answers, for example https://tools.example.com/mcp. "
        "Changing it removes the stored secrets and asks for approval of its tools again.",
    )
    command = fields.Char(
        groups=ADMINISTRATORS, copy=False,
        help="The program that is started; it speaks MCP over its standard input and output.",
    )
    args = fields.Char(  # for many programs a key is among them
        "Arguments", groups=ADMINISTRATORS, copy=False, help="Words as in a shell, or a JSON list of strings."
    )
    timeout = fields.Float(
        default=30.0, required=True,
        help="Seconds that a call may take without a sign of progress. A tool can have a timeout of its own.",
    )
    max_timeout = fields.Float(
        "Hard Limit", default=300.0, required=True,
        help="Seconds after which a call is ended in any case, however much progress its tool reports.",
    )
    approval = fields.Selection(
        [*RULES, ("never", "Never run")], "Rule for All Tools",
        required=True,
        default="tool",
        help="Makes every tool of this server at least so strict; a tool that is stricter stays so. Which tools are "
        "read-only, the server says.",
    )
    # who it is called as
    auth_type = fields.Selection(
        [("none", "None"), ("bearer", "Bearer token"), ("headers", "Own headers")],
        "Authentication",
        required=True,
        default="none",
        help="How the server knows who calls. It is sent with every request.",
    )
    # whose it is
    scope = fields.Selection(
        [("shared", "Shared"), ("user", "Personal")],
        required=True,
        default=lambda self: self._default_scope(),
        help="Shared servers are given to assistants by managers. A personal one is visible to its owner only, "
        "who can attach it to conversations.",
    )
    user_id = fields.Many2one(
        "res.users", "Owner", index="btree_not_null", ondelete="cascade", copy=False,
        help="The one person who sees this server and can attach it to conversations.",
    )
    company_id = fields.Many2one("res.company", help="Empty: for all companies.")
    # what is known of it
    state = fields.Selection(
        [("draft", "Not connected"), ("connected", "Connected"), ("error", "Error")],
        required=True,
        default="draft",
        readonly=True,
        copy=False,
        help="How the last connection went. Until the first one, the server's tools are offered to nobody.",
    )
    state_message = fields.Text("Message", readonly=True, copy=False, help="Why the server cannot be used.")
    failure_count = fields.Integer(
        "Failures in a Row", readonly=True, copy=False,
        help="How often in a row runs could not use the server: no connection, a connection that broke, no answer in "
        "time.",
    )
    last_failure = fields.Datetime(readonly=True, copy=False, help="When a run could last not use the server.")
    retry_at = fields.Datetime(
        "Next Try", readonly=True, copy=False,
        help="Until then runs do without the server's tools, instead of waiting for it again and again.",
    )
    circuit = fields.Selection(
        [("closed", "In use"), ("open", "Paused"), ("half_open", "To be tried again")],
        "Use by Runs",
        compute="_compute_circuit",
        help="After failures in a row the server is paused for a while; then one call tries it again.",
    )
    last_sync = fields.Datetime(
        "Last Synchronisation", readonly=True, copy=False, help="When the list of tools was last taken over."
    )
    tool_ids = fields.One2many("mcp.tool", "server_id", string="Tools", help="What the server offered then.")
    tool_count = fields.Integer(compute="_compute_tool_count", help="How many tools the server offers.")
    changed_tool_count = fields.Integer(
        compute="_compute_tool_count", help="How many tools were redefined since somebody last looked at them."
    )
    assistant_ids = fields.Many2many(
        "ai.assistant", "ai_assistant_mcp_server_rel", "server_id", "assistant_id", "Assistants",
        help="The assistants that may use this server's tools.",
    )
    stdio_allowed = fields.Boolean(compute="_compute_stdio_allowed")

    _timeout_positive = models.Constraint("CHECK (timeout > 0)", "The timeout must be more than zero seconds.")
    _max_timeout_not_shorter = models.Constraint(
        "CHECK (max_timeout >= timeout)", "The hard limit of a call cannot be shorter than its timeout."
    )
    _owner_of_personal = models.Constraint(
        "CHECK ((scope = 'user') = (user_id IS NOT NULL))",
        "A personal server needs an owner, and a shared one has none.",
    )

    @api.depends("retry_at")
    def _compute_circuit(self):
        now = fields.Datetime.now()
        for server in self:
            if not server.retry_at:
                server.circuit = "closed"
            else:
                server.circuit = "open" if server.retry_at > now else "half_open"

    @api.depends("tool_ids.active", "tool_ids.changed")
    def _compute_tool_count(self):
        for server in self:
            server.tool_count = len(server.tool_ids)
            server.changed_tool_count = len(server.tool_ids.filtered("changed"))

    @api.depends_context("uid")
    def _compute_stdio_allowed(self):
        self.stdio_allowed = self._stdio_is_on() and self.env.user.has_group(ADMINISTRATORS)

    @api.onchange("url")
    def _onchange_url(self):
        known = self._origin
        if (known.has_token or known.has_headers) and self.url != known.url:
            return forgetting(
                self.env, self.env._("The stored secrets are for the old address. Enter those of the new one.")
            )
        return None

    @api.constrains("name")
    def _check_name(self):
        for server in self:
            if not server.name.strip():
                raise ValidationError(self.env._("A server needs a name."))

    @api.constrains("transport", "url", "command", "args")
    def _check_address(self):
        for server in self:
            if server.transport == "stdio":
                server._check_stdio_allowed()
                server._arguments()
                if not (server.command or "").strip():
                    raise ValidationError(self.env._("Say which command starts the server."))
            elif not is_http_url(server.url):
                raise ValidationError(
                    self.env._("The URL must begin with http:// or https:// and name a server, without a password.")
                )

    @api.constrains("url", "transport", "scope", "user_id", "guarded")
    def _check_public_address(self):
        super()._check_public_address()

    @api.constrains("scope", "assistant_ids")
    def _check_assistants_use_shared_servers(self):
        # sudo: mcp.server - only whether there are any assistants is looked at
        if self.sudo().filtered(lambda server: server.scope == "user" and server.assistant_ids):
            raise ValidationError(self.env._("Only shared servers can be given to assistants."))

    @api.model_create_multi
    def create(self, vals_list):
        default_scope = self._default_scope()
        return super().create([
            {**vals, **self._owner_for(vals.get("scope", default_scope), vals)} for vals in vals_list
        ])

    def copy_data(self, default=None):
        """Like any other; with the command only for whoever may see it."""
        copies = super().copy_data(default)
        if not self.env.su and not self.env.user.has_group(ADMINISTRATORS):
            return copies
        return [
            {"command": server.command, "args": server.args, **vals}
            for server, vals in zip(self, copies, strict=True)
        ]

    def write(self, vals):
        if "scope" in vals:
            vals = {**vals, **self._owner_for(vals["scope"], vals)}
        moved = self.filtered(lambda server: server._differs(IDENTITY_FIELDS, vals))
        readdressed = moved.filtered(lambda server: server._differs({"url"}, vals))
        result = super().write(vals)
        if not {"scope", "user_id"}.isdisjoint(vals):
            self.check_access("write")  # nobody gives a server away, or shares it who may not
        readdressed._forget_secrets(except_fields=[field for field in self._secret_fields if vals.get(field)])
        moved._forget_approvals()
        return result

    def action_test_connection(self):
        """Connect and list the tools, without taking them over."""
        self.ensure_one()
        found, problem = self._probe()
        if problem:
            return self._report_problem(problem)
        self._record_answer()
        return notification(self.env._("Connected. Tools on offer: %(count)s.", count=len(found)))

    def action_sync_tools(self):
        """Take over the tools that the servers offer now."""
        actions = [server._sync_tools() for server in self]
        failed = [action for action in actions if action["params"]["type"] == "danger"]
        return (failed or actions)[0] if actions else True

    def action_view_tools(self):
        """The tools of this server."""
        self.ensure_one()
        self.check_access("read")
        return {
            **self.env["ir.actions.act_window"]._for_xml_id("ai_discuss.mcp_tool_action"),
            "domain": [("server_id", "=", self.id)],
            "context": {},
        }

    def _spec(self, user):
        """What the engine needs to call this server in a run of `user`, secrets included: for the engine only.

        Without a user, it is called as the account that is stored with the server.

        Raises:
            AccessError: the server is a command, and commands may not be started here.
            AccessError: the user has not entered the credentials that the server wants.
        """
        self.ensure_one()
        # sudo: mcp.server - which servers a run may use was decided before; the spec never shows its headers
        server = self.sudo()
        is_stdio = server.transport == "stdio"
        if is_stdio and not self._stdio_is_on():
            raise AccessError(self.env._("Commands are switched off on this system (ai_discuss_stdio)."))
        user_id, headers = (0, ()) if is_stdio else server._identity(user)
        return ServerSpec(
            id=server.id,
            name=server._name_for(user),
            transport=server.transport,
            url="" if is_stdio else server.url,
            command=server.command if is_stdio else "",
            args=server._arguments() if is_stdio else (),
            headers=headers,
            timeout=server.timeout,
            max_timeout=server.max_timeout,
            user_id=user_id,
            guarded=server._is_guarded(),
        )

    def _is_guarded(self):
        """A personal server is its owner's affair, whoever else has entered something."""
        self.ensure_one()
        if self.scope == "user":
            return not self.user_id.has_group(ADMINISTRATORS)
        return super()._is_guarded()

    def _is_callable(self):
        """Whether runs may use the server as it is."""
        self.ensure_one()
        return self.active and self.state != "draft"

    # -- how it is doing

    def _record_answer(self):
        """It answers: whatever was wrong is over."""
        self.write({**HEALTHY, "state": "connected"})

    def _record_problem(self, problem):
        """A person could not use it."""
        self.write({"state": "error", "state_message": storable(problem)})

    def _record_failure(self, problem, failures, retry_at):
        """Runs could not use it, `failures` times in a row; until `retry_at`, if there is one, they don't try again."""
        self.write({
            "state": "error",
            "state_message": storable(problem),
            "failure_count": failures,
            "last_failure": fields.Datetime.now(),
            "retry_at": retry_at,
        })

    # -- synchronisation

    def _sync_tools(self):
        found, problem = self._probe()
        if problem:
            return self._report_problem(problem)
        self._take_over(found)
        return notification(self.env._("Synchronised. Tools on offer: %(count)s.", count=len(found)))

    def _probe(self):
        """The server's tools, or else a sentence that says why they cannot be had."""
        self.ensure_one()
        self.check_access("write")
        return self._ask_for_tools(self._lister())

    def _ask_for_tools(self, user):
        """What the server offers to `user`, or else a sentence that says why not. Waits with no transaction open."""
        from ..services import mcp_pool  # lazily: it imports the SDK

        try:
            return ask_outside(self.env, mcp_pool.probe, self._spec(user)), ""
        except TimeoutError:
            return [], self.env._(
                "The server did not answer within %(seconds)s seconds.", seconds=BUTTON_TIMEOUT_SECONDS
            )
        except (McpUnreachable, AccessError) as error:
            return [], str(error)

    def _report_problem(self, problem):
        self._record_problem(problem)
        return notification(problem, "danger", self.env._("%(server)s cannot be used", server=self.name))

    def _take_over(self, found):
        """Make the tools what the server says they are, and keep what people decided about them."""
        self.ensure_one()
        self._hold()
        # sudo: mcp.tool - people decide about tools, only their server defines them; write access was checked before
        tools = self.sudo().with_context(active_test=False).tool_ids
        by_name = {tool.name: tool for tool in tools}
        offered = {storable(tool.name): self._tool_values(tool) for tool in reversed(found)}  # the first of a name wins
        for name, values in offered.items():
            if known := by_name.get(name):
                known._redefine(values)
        tools.create([
            {**values, "server_id": self.id, "name": name, "approval": self._default_approval(values)}
            for name, values in reversed(offered.items())
            if name not in by_name
        ])
        tools.filtered(lambda tool: tool.active and tool.name not in offered).active = False
        self._record_answer()

    def _hold(self):
        """Let whoever takes over at the same time (another button, another host) wait, and then begin anew.

        An UPDATE, also where nothing changes: only that makes PostgreSQL tell the other transaction of this one.
        """
        self.flush_recordset()
        # a conflict is no error: the transaction begins anew, and nobody needs to read of it in the log
        query = "UPDATE mcp_server SET last_sync = %s WHERE id = %s"
        self.env.cr.execute(query, [fields.Datetime.now(), self.id], log_exceptions=False)
        self.invalidate_recordset(["last_sync"])

    @api.model
    def _tool_values(self, tool):
        values = storable({
            "title": tool.title or False,
            "description": tool.description or False,
            "input_schema": dict(tool.input_schema or {}),
            "read_only": bool(tool.read_only),
            "destructive": bool(tool.destructive),
            "idempotent": bool(tool.idempotent),
        })
        canonical = json.dumps(values, sort_keys=True, ensure_ascii=False)
        return {**values, "active": True, "definition_hash": hashlib.sha256(canonical.encode()).hexdigest()}

    def _default_approval(self, values):
        return "auto" if self.scope == "shared" or values["read_only"] else "ask"

    # -- helpers

    def _identity(self, user):
        """Whose credentials are sent in a run of `user` (0: the server's own), and the headers that carry them."""
        return 0, self._request_headers(self.auth_type)

    def _lister(self):
        """As whom the tools are listed for the person at the button."""
        return self.env.user

    def _name_for(self, user):
        """What the server is called in a run of `user`, who sees there whose account is used."""
        if self.scope == "user" and user and user != self.user_id:
            return self.env._("%(server)s (of %(owner)s)", server=self.name, owner=self.user_id.name)
        return self.name

    def _differs(self, field_names, vals):
        return any((self[field] or False) != (vals[field] or False) for field in field_names & vals.keys())

    def _owner_for(self, scope, vals):
        """A personal server belongs to whoever makes it so; a shared one to nobody."""
        if scope != "user":
            return {"user_id": False}
        return {"user_id": vals.get("user_id") or self.env.uid}

    def _forget_secrets(self, except_fields):
        """A secret never goes to another server than the one that it was given for."""
        if self:
            self.write({field: False for field in self._secret_fields if field not in except_fields})

    def _forget_approvals(self):
        """Another server may answer now: it has to be connected again, and nothing runs unasked until then."""
        if self:
            self.write({**HEALTHY, "state": "draft"})
            # sudo: mcp.tool - follows from a write on the server that was allowed
            tools = self.sudo().with_context(active_test=False).tool_ids
            tools.filtered(lambda tool: tool.approval == "auto").approval = "ask"

    def _check_stdio_allowed(self):
        if not self._stdio_is_on():
            raise ValidationError(
                self.env._("Commands are switched off on this system: set ai_discuss_stdio = True in odoo.conf first.")
            )
        if not self.env.user.has_group(ADMINISTRATORS):
            raise AccessError(self.env._("Only system administrators may set up commands."))

    @api.model
    def _stdio_is_on(self):
        return str2bool(str(config.get("ai_discuss_stdio") or ""), default=False)

    def _arguments(self):
        """The command's arguments, from a JSON list or from words as in a shell."""
        text = (self.args or "").strip()
        try:
            words = json.loads(text) if text.startswith("[") else shlex.split(text)
        except ValueError as error:
            raise ValidationError(self.env._("The arguments cannot be read: %(problem)s", problem=error)) from None
        if not all(isinstance(word, str) for word in words):
            raise ValidationError(self.env._("The arguments must be a list of strings."))
        return tuple(words)
