"""What people allow once and for all: a tool whose calls run unasked in one conversation, for what one person asks.

Such a rule is made together with a decision (`ai.tool.call`), never by hand, and holds as long as everything is as it
was then: what the tool is, and what its server, the assistant and the tool itself demand. Whoever tightens one of these
later is not passed over.
"""

import hashlib

from odoo import api, fields, models
from odoo.exceptions import AccessError


class AiApprovalRule(models.Model):
    _name = "ai.approval.rule"
    _description = "Tool That Runs Unasked"
    _order = "channel_id, id"
    _rec_name = "tool_id"

    channel_id = fields.Many2one(
        "discuss.channel", "Conversation", required=True, readonly=True, ondelete="cascade", index=True,
        help="Where the tool runs unasked.",
    )
    assistant_id = fields.Many2one(
        "ai.assistant", required=True, readonly=True, ondelete="cascade", help="The assistant that may call it."
    )
    tool_id = fields.Many2one(
        "mcp.tool", required=True, readonly=True, ondelete="cascade", index=True, help="The tool that runs unasked."
    )
    server_id = fields.Many2one(related="tool_id.server_id")
    user_id = fields.Many2one(
        "res.users", "For", required=True, readonly=True, ondelete="cascade", index=True,
        help="In whose questions it does; for everybody else it asks.",
    )
    create_uid = fields.Many2one("res.users", "Created by", readonly=True, help="Who has allowed it.")
    create_date = fields.Datetime(help="Since when it is allowed.")
    terms = fields.Char(required=True, readonly=True, groups=fields.NO_ACCESS)  # stand for what was allowed
    is_current = fields.Boolean(
        "Holds", compute="_compute_is_current", compute_sudo=True,
        help="Off where the tool, or what its server or the assistant demand, has changed since: it asks again.",
    )

    _one_per_person = models.UniqueIndex(
        "(user_id, channel_id, assistant_id, tool_id)", "A tool is allowed only once for a person in a conversation."
    )

    def _compute_is_current(self):
        for rule in self:
            tool = rule.tool_id
            rule.is_current = rule.terms == self._terms(tool, tool._definition(), rule.assistant_id)

    @api.model
    def _allow(self, call):
        """Let the tool of this call, which waits for a decision, run unasked from now on.

        Raises:
            AccessError: that is not the caller's to decide.
        """
        run, tool = call.run_id, call.tool_id
        if not call._may_allow_always(self.env.user):
            raise AccessError(self.env._("This tool asks each time; only a manager of assistants can change that."))
        values = {
            "channel_id": run.channel_id.id,
            "assistant_id": run.assistant_id.id,
            "tool_id": tool.id,
            "user_id": run.user_id.id,
        }
        # sudo: ai.approval.rule - made only here, for a caller who was just checked
        rules = self.sudo()
        rules.search([(name, "=", value) for name, value in values.items()]).unlink()
        # what was shown to them, which need not be what the tool has become since
        rules.create({**values, "terms": self._terms(tool, call.definition_hash, run.assistant_id)})

    @api.model
    def _allowed_tools(self, assistant, channel, user):
        """The tools that run unasked, though they ask, when `assistant` calls them in `channel` for `user`."""
        # sudo: ai.approval.rule - what holds for this person, whoever looks it up
        rules = self.sudo().search([
            ("user_id", "=", user.id), ("channel_id", "=", channel.id), ("assistant_id", "=", assistant.id),
        ])
        return rules.filtered("is_current").tool_id

    @api.model
    def _terms(self, tool, definition, assistant):
        """What stands for all that was known when the tool was allowed."""
        known = definition, tool.approval, tool.server_id.approval, assistant.approval
        return hashlib.sha256(repr(known).encode()).hexdigest()


class DiscussChannel(models.Model):
    _inherit = "discuss.channel"

    def _ai_forget(self, partner):
        super()._ai_forget(partner)
        # sudo: ai.approval.rule - what somebody was allowed in a conversation ends when they leave it
        rules = self.env["ai.approval.rule"].sudo()
        rules.search([("channel_id", "in", self.ids), ("user_id.partner_id", "=", partner.id)]).unlink()
