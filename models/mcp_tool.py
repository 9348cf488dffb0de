"""A tool as its server defined it at the last synchronisation, with what people decided about it.

People decide (`enabled`, `approval`); everything else belongs to the server.
"""

import json

from odoo import api, fields, models
from odoo.exceptions import AccessError

from ..services.specs import ToolSpec

DECISIONS = frozenset({"enabled", "approval", "changed"})


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
        [("auto", "Run without asking"), ("ask", "Ask first"), ("never", "Never run")],
        required=True,
        default="auto",
        help="What happens when an assistant wants to call this tool.",
    )
    changed = fields.Boolean(
        readonly=True,
        help="The server changed the tool's definition since somebody last decided about it; it asks first until then.",
    )
    # for its server's views
    scope = fields.Selection(related="server_id.scope")
    server_state = fields.Selection(related="server_id.state", string="Server State")

    _name_unique = models.UniqueIndex("(server_id, name)", "A server has only one tool of each name.")

    @api.depends("input_schema")
    def _compute_input_schema_text(self):
        for tool in self:
            tool.input_schema_text = json.dumps(tool.input_schema or {}, indent=2, ensure_ascii=False)

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

    def _usable(self):
        """Those that may be offered to a model at all."""
        return self.filtered(lambda tool: tool.active and tool.enabled and tool.approval != "never")

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

    def _spec(self, server_spec):
        """What the engine needs to offer and call this tool."""
        self.ensure_one()
        return ToolSpec(
            id=self.id,
            server=server_spec,
            name=self.name,
            title=self.title or "",
            description=self.description or "",
            input_schema=self.input_schema or {},
            approval=self.approval,
            read_only=self.read_only,
            destructive=self.destructive,
            idempotent=self.idempotent,
        )
