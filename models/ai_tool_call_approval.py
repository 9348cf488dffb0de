"""A tool call that waits for a person: what they should know before they decide, and their decision."""

from odoo import api, fields, models

from ..services.states import ToolCallState


class AiToolCall(models.Model):
    _inherit = "ai.tool.call"

    can_decide = fields.Boolean(
        compute="_compute_can_decide", help="Whether the call waits for a decision that you may make."
    )
    read_only = fields.Boolean(related="tool_id.read_only")
    destructive = fields.Boolean(related="tool_id.destructive")
    idempotent = fields.Boolean(related="tool_id.idempotent")

    @api.depends("state", "run_id.user_id")
    @api.depends_context("uid")
    def _compute_can_decide(self):
        for call in self:
            call.can_decide = call.state == ToolCallState.APPROVAL and call.run_id._is_controllable()

    def action_approve(self):
        """Let the call be made. A decision that was already made stands."""
        self._decide(approved=True)

    def action_deny(self):
        """Have the call not made: the model is told so. A decision that was already made stands."""
        self._decide(approved=False)

    def _decide(self, approved):
        for call in self:
            call.run_id._decide(call.call_id, approved)
