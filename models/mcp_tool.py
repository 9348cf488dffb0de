"""A tool as its server defined it at the last synchronisation, with what people decided about it.

People decide (`enabled`, `approval`, `timeout`); everything else belongs to the server.
"""

import hashlib
import json

from odoo import api, fields, models
from odoo.exceptions import AccessError

from ..services.approvals import strictest
from ..services.specs import ToolSpec

DECISIONS = frozenset({"enabled", "approval", "changed", "timeout"})
APPROVALS = [("auto", "Run without asking"), ("ask", "Ask first"), ("never", "Never run")]
# The rules for all tools of a server or an assistant, from the mildest.
RULES = [
    ("tool", "As each tool says"),
    ("changes", "Ask unless the tool is read-only"),
    ("ask", "Always ask"),
]


class McpTool(models.Model):
    _name = "mcp.tool"
    _description = "MCP Tool"
    _order = "server_id, name"

    # as the server defined it
    server_id = fields.Many2one(
        "mcp.server", required=True, readonly=True, ondelete="cascade", index=True,
        help="The server that offers the tool and runs it.",
    )
    name = fields.Char("Technical Name", required=True, readonly=True, help="What the server calls the tool.")
    title = fields.Char(readonly=True, help="The tool's name for people, where its server gives one.")
    description = fields.Text(
        readonly=True, help="What the server says the tool does; the model reads it and decides by it."
    )
    input_schema = fields.Json(readonly=True)
    input_schema_text = fields.Text(
        "Arguments", compute="_compute_input_schema_text",
        help="What the tool has to be told when it is called, as a JSON schema.",
    )
    read_only = fields.Boolean(readonly=True, help="The server says that this tool changes nothing.")
    destructive = fields.Boolean(readonly=True, help="The server says that this tool may delete or overwrite.")
    idempotent = fields.Boolean(readonly=True, help="The server says that calling it twice is as good as once.")
    definition_hash = fields.Char(readonly=True)
    active = fields.Boolean(
        default=True, readonly=True, help="Off where the server no longer offers the tool; back on when it does again."
    )
    # as people decided
    enabled = fields.Boolean(default=True, help="Whether assistants may use this tool at all.")
    approval = fields.Selection(
        APPROVALS,
        required=True,
        default="auto",
        help="What happens when an assistant wants to call this tool. Its server and the assistant may have stricter "
        "rules.",
    )
    timeout = fields.Float(
        help="Seconds that a call of this tool may take without a sign of progress; 0: as its server says."
    )
    changed = fields.Boolean(
        readonly=True,
        help="The server changed the tool's definition since somebody last decided about it; it asks first until then.",
    )
    policy = fields.Selection(
        APPROVALS, "In Effect", compute="_compute_policy",
        help="What happens to calls of this tool: the stricter of its own approval and its server's rule. "
        "An assistant's rule may be stricter still.",
    )
    # for its server's views
    scope = fields.Selection(related="server_id.scope")
    server_state = fields.Selection(related="server_id.state", string="Server State")

    _name_unique = models.UniqueIndex("(server_id, name)", "A server has only one tool of each name.")
    _timeout_not_negative = models.Constraint(
        "CHECK (timeout >= 0)", "The timeout cannot be negative; 0 means that the server's is used."
    )

    @api.depends("input_schema")
    def _compute_input_schema_text(self):
        for tool in self:
            tool.input_schema_text = json.dumps(tool.input_schema or {}, indent=2, ensure_ascii=False)

    @api.depends("approval", "read_only", "server_id.approval")
    def _compute_policy(self):
        for tool in self:
            tool.policy = tool._policy()

    @api.depends("name", "title")
    def _compute_display_name(self):
        for tool in self:
            tool.display_name = tool.title or tool.name

    def write(self, vals):
        if not self.env.su and not DECISIONS.issuperset(vals):
            raise AccessError(self.env._("A tool is defined by its server; only its use can be changed here."))
        if "approval" in vals:
            vals = {"changed": False, **vals}  # whoever decides has seen the new definition
        return super().write(vals)

    def action_accept_change(self):
        """The new definition is fine; the approval stays as it is."""
        self.write({"changed": False})

    def _policy(self, assistant=None):
        """Whether calls of this tool run unasked: "auto", "ask" or "never". With `assistant`: when it calls."""
        self.ensure_one()
        rules = [record.approval for record in (self.server_id, assistant) if record]
        return strictest(self.approval, *rules, read_only=self.read_only)

    def _usable(self, assistant=None):
        """Those that may be offered to a model at all. With `assistant`: to its model."""
        return self.filtered(lambda tool: tool.active and tool.enabled and tool._policy(assistant) != "never")

    def _is_offered(self, assistant, channel, user):
        """Whether runs of `user` may use this tool now. What `ai.assistant._run_tools` says, without a look at the
        others."""
        self.ensure_one()
        server = self.server_id
        if server.scope == "user":
            is_given = server in channel._ai_servers_for(user)
        else:
            given = [
                ("id", "=", assistant.id),
                ("mcp_server_ids", "in", server.ids),
                ("disabled_tool_ids", "not in", self.ids),
            ]
            is_given = bool(assistant.search_fetch(given, ["approval"]))  # its rule is asked for next
        return is_given and server._is_callable() and bool(self._usable(assistant) - self._off_in(channel))

    def _redefine(self, values):
        """Take over a definition; a change of what the tool does has to be looked at again."""
        self.ensure_one()
        if self.definition_hash != values["definition_hash"]:
            values = {**values, "changed": True}
            if self.approval == "auto":
                values["approval"] = "ask"
            self.write({**values})
        elif not self.active:
            self.active = True

    def _definition(self):
        """What stands for the tool as it is: all that its server says of it, and where that server is. Whoever approves
        of a call approves of this."""
        server = self.server_id
        known = self.definition_hash, server.transport, server.url, server.command, server.args
        return hashlib.sha256(repr(known).encode()).hexdigest()

    def _spec(self, server_spec, assistant, allowed=()):
        """What the engine needs to offer this tool to `assistant`, and to call it. It runs unasked where it is among
        the tools that people have `allowed`."""
        self.ensure_one()
        return ToolSpec(
            id=self.id,
            server=server_spec,
            name=self.name,
            title=self.title or "",
            description=self.description or "",
            input_schema=self.input_schema or {},
            timeout=self.timeout,
            approval="auto" if self in allowed else self._policy(assistant),
            read_only=self.read_only,
            destructive=self.destructive,
            idempotent=self.idempotent,
            definition=self._definition(),
        )
