"""What people see and choose of assistants in one conversation: for its panel in Discuss.

Which tools are done without here is kept on the conversation; everything else belongs to other models.
"""

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.fields import Command

from .discuss_channel import MENTIONABLE_TYPES

OFF_HERE = "discuss_channel_disabled_tool_rel"


class McpTool(models.Model):
    _inherit = "mcp.tool"

    disabled_channel_ids = fields.Many2many(
        "discuss.channel", OFF_HERE, "tool_id", "channel_id", "Off In", copy=False, context={"active_test": False},
        help="The conversations in which no assistant uses this tool.",
    )

    def _off_in(self, channel):
        """Those that are switched off in `channel`. Searched: the cache has what its reader may see."""
        if not self or not channel:
            return self.browse()
        # sudo: mcp.tool - only which of these tools are off; who may see them was decided before
        off = self.sudo().search([("id", "in", self.ids), ("disabled_channel_ids", "in", channel.ids)])
        return self & self.browse(off.ids)


class DiscussChannel(models.Model):
    _inherit = "discuss.channel"

    ai_disabled_tool_ids = fields.Many2many(
        "mcp.tool", OFF_HERE, "channel_id", "tool_id", "Disabled Tools", copy=False, context={"active_test": False},
        help="Tools that no assistant uses in this conversation.",
    )

    def write(self, vals):
        if "ai_disabled_tool_ids" in vals:
            # what is cached is what its reader may see; each replaces only what they see
            self.invalidate_recordset(["ai_disabled_tool_ids"])
        return super().write(vals)

    @api.readonly
    def ai_settings(self):
        """What the caller can see and choose of assistants here."""
        self.ensure_one()
        self._ai_check_settings_access()
        # sudo: discuss.channel - which assistant it is; it is one of the members that the caller sees
        assistant = self.sudo().ai_assistant_id
        can_change = self.has_access("write")
        return {
            "assistant_id": assistant.id,
            "assistants": self._ai_told_assistants(assistant),
            "can_change": can_change,
            "can_choose": can_change and self.channel_type in MENTIONABLE_TYPES,  # a chat is for two
            "reply_mode": self.ai_reply_mode,
            "reply_modes": self._fields["ai_reply_mode"]._description_selection(self.env),
            "tools": self._ai_told_tools(assistant),
            "servers": self._ai_told_servers(),
            "is_member": self.is_member,
            "allowed": self._ai_told_allowed(),
            "notices": self._ai_told_notices(),
        }

    def ai_switch_tool(self, tool_id, on):
        """Have assistants use a tool in this conversation, or do without it."""
        self.ensure_one()
        self._ai_check_settings_access()
        # sudo: discuss.channel - which assistant it is; its tools are those that the caller may use
        tool = self._ai_offered_tools(self.sudo().ai_assistant_id).filtered(lambda tool: tool.id == tool_id)
        if not tool:
            raise UserError(self.env._("This tool is not on offer here any more."))
        if not self._ai_may_switch(tool):
            raise AccessError(self.env._("You may not switch this tool on or off here."))
        # sudo: discuss.channel - the owner of a personal server may not change the conversation, but what serves in it
        self.sudo().ai_disabled_tool_ids = [Command.unlink(tool.id) if on else Command.link(tool.id)]

    def _ai_check_settings_access(self):
        self.check_access("read")
        if not self.env.user._is_internal():
            raise AccessError(self.env._("Only people who work here can see how assistants answer."))

    def _ai_told_assistants(self, chosen):
        """Those that the caller may use, and the one that answers here, whoever may use it."""
        assistants = chosen | chosen._usable_by(self.env.user)
        return [
            {"id": assistant.id, "name": assistant.name, "description": assistant.description or ""}
            for assistant in assistants.sorted()
        ]

    # -- tools

    def _ai_offered_tools(self, assistant):
        """What `assistant` has for the caller's questions here, with sudo; switched off or not."""
        if not assistant or not assistant._is_usable(self.env.user):
            return self.env["mcp.tool"]
        return assistant._offered_tools(self, self.env.user)

    def _ai_may_switch(self, tool):
        """Personal tools are their owner's to switch, others are everybody's who may change the conversation."""
        if tool.server_id.scope == "user":
            return tool.server_id.user_id == self.env.user
        return self.has_access("write")

    def _ai_told_tools(self, assistant):
        tools = self._ai_offered_tools(assistant)
        off = tools._off_in(self)
        return [
            {
                "id": tool.id,
                "title": tool.display_name,
                "name": tool.name,
                "description": tool.description or "",
                "server_id": tool.server_id.id,
                "server": tool.server_id._name_for(self.env.user),
                "on": tool not in off,
                "can_switch": self._ai_may_switch(tool),
                "asks": tool._policy(assistant) == "ask",
                "read_only": tool.read_only,
                "destructive": tool.destructive,
            }
            for tool in tools.sorted(lambda tool: (tool.scope, tool.server_id.name, tool.display_name))
        ]

    def _ai_told_allowed(self):
        """The tools that run unasked here, as far as the caller may know; whoever sees one may have it ask again."""
        rules = self.env["ai.approval.rule"].search([("channel_id", "=", self.id)])
        # sudo: mcp.tool, mcp.server - what the tools are called that run for this person, whosever they are
        return [
            {
                "id": rule.id,
                "title": rule.sudo().tool_id.display_name,
                "server": rule.sudo().server_id._name_for(self.env.user),
                "user": rule.user_id.name,
                "mine": rule.user_id == self.env.user,
                "is_current": rule.is_current,
            }
            for rule in rules
        ]

    # -- personal servers

    def _ai_told_servers(self):
        """The caller's own servers, wherever they are used, and those that others share here."""
        attached = {server["id"]: server for server in self.ai_servers()}
        own = self.env["mcp.server"].search([("scope", "=", "user"), ("user_id", "=", self.env.uid)])
        return [
            {
                "id": server.id,
                "name": server.name,
                "mine": True,
                "attached": server.id in attached,
                "shared": attached.get(server.id, {}).get("shared", False),
                "url": server.url or "",
                "is_command": server.transport == "stdio",
                "auth_type": server.auth_type,
                "has_token": server.has_token,
                "has_headers": server.has_headers,
                "state": server.state,
                "state_message": server.state_message or "",
                "tool_count": server.tool_count,
            }
            for server in own
        ] + [
            {"id": server["id"], "name": server["name"], "owner": server["owner"], "mine": False}
            for server in attached.values() if not server["mine"]
        ]

    # -- the last reply

    def _ai_told_notices(self):
        """What people should know of the newest reply here."""
        ended = [("channel_id", "=", self.id), ("finished_at", "!=", False)]
        return self.env["ai.run"].search(ended, order="id desc", limit=1).notices or []
