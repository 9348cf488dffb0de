"""A tool call that waits for a person: what they should know before they decide, their decision, and what becomes of it
where nobody makes one. And the last look before a call leaves: people may have thought better of it since.
"""

import json
from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError

from ..services import wire_v1
from ..services.approvals import strictest
from ..services.history import OUTCOME_UNKNOWN
from ..services.messages import ToolResult
from ..services.ports import CLEARED, Clearance
from ..services.states import ToolCallState
from ..services.tool_arguments import read_arguments
from .ai_run import MANAGERS
from .ai_tool_call import legible

HOUR = timedelta(hours=1)


class AiToolCall(models.Model):
    _inherit = "ai.tool.call"

    can_decide = fields.Boolean(
        compute="_compute_can_decide", help="Whether the call waits for a decision that you may make."
    )
    requested_at = fields.Datetime("Asked", readonly=True, help="Since when the call has been waiting for a decision.")
    expires_at = fields.Datetime(
        "Expires", readonly=True,
        help="When the call is denied, if nobody decides before. Empty: it waits for as long as it takes.",
    )
    has_changed = fields.Boolean(
        "Tool Changed", readonly=True,
        help="Its server has changed the tool since the assistant asked for the call: somebody has to look again.",
    )
    is_changed = fields.Boolean(
        "Arguments Changed", readonly=True, help="Whoever approved of the call has changed its arguments before."
    )
    proposed_arguments = fields.Json(
        readonly=True, help="What the assistant asked for, where a person has changed it before the call was made."
    )
    proposed_arguments_text = fields.Text("Asked for", compute="_compute_proposed_arguments_text")
    definition_hash = fields.Char(readonly=True, groups=fields.NO_ACCESS)  # of the tool as it was offered or shown last
    read_only = fields.Boolean(related="tool_id.read_only")
    destructive = fields.Boolean(related="tool_id.destructive")
    idempotent = fields.Boolean(related="tool_id.idempotent")

    _expiring = models.Index("(expires_at) WHERE state = 'approval'")

    @api.depends("state", "run_id.user_id")
    @api.depends_context("uid")
    def _compute_can_decide(self):
        for call in self:
            call.can_decide = call.state == ToolCallState.APPROVAL and call.run_id._is_controllable()

    @api.depends("proposed_arguments")
    def _compute_proposed_arguments_text(self):
        for call in self:
            call.proposed_arguments_text = legible(call.proposed_arguments)

    def action_approve(self):
        """Let the call be made. A decision that was already made stands."""
        self._decide(approved=True)

    def action_deny(self):
        """Have the call not made: the model is told so. A decision that was already made stands."""
        self._decide(approved=False)

    def _decide(self, approved):
        for call in self:
            call.run_id._decide(call.call_id, approved)

    # -- decisions; with sudo, and with the run's row held

    @api.model
    def _asking_values(self):
        """What is stored of a call from when on it waits for a decision."""
        now, hours = fields.Datetime.now(), self.env["res.config.settings"]._ai_approval_hours()
        return {
            "state": ToolCallState.APPROVAL.value,
            "requested_at": now,
            "expires_at": now + hours * HOUR if hours else False,
            "decided_by": False,
            "decided_at": False,
        }

    def _change_arguments(self, value):
        """Have the call made with these arguments, as parsed from JSON. Its tool's schema decides whether they will do.

        Raises:
            AccessError: the call is made with somebody else's account, whose use is not the caller's to decide.
            UserError: they cannot be sent.
        """
        if self._is_as_asker() and self.run_id.user_id != self.env.user:
            raise AccessError(self.env._(
                "This call uses the account of %(name)s, who alone can change its arguments.",
                name=self.run_id.user_id.name,
            ))
        arguments, problem = read_arguments(value, self.tool_id.input_schema or {})
        if problem:
            raise UserError(self.env._("The arguments do not fit. %(problem)s", problem=problem))
        proposed, arguments = self._proposed_arguments(), wire_v1.storable(arguments)
        is_changed = arguments != proposed
        self.write({
            "arguments": arguments,
            "is_changed": is_changed,
            "proposed_arguments": proposed if is_changed else False,
        })

    def _proposed_arguments(self):
        """What the model asked for."""
        return (self.proposed_arguments if self.is_changed else self.arguments) or {}

    def _change_note(self):
        """What the model is told of arguments that it did not write."""
        changed = self._changed_arguments()
        if changed is None:
            return ""
        arguments = json.dumps(changed, ensure_ascii=False)
        name = self.decided_by.name or "A person"
        return f"[{name} changed the arguments before approving. The call was made with: {arguments}]"

    def _changed_arguments(self):
        """What whoever approved of the call has made of its arguments; None where they are as the model wrote them."""
        return (self.arguments or {}) if self.is_changed and self.state != ToolCallState.DENIED else None

    def _is_as_asker(self):
        """Whether the call, which waits for a decision, is made with the account of one person."""
        server = self.server_id
        return self.state == ToolCallState.APPROVAL and (server.scope == "user" or server.per_user)

    def _always_by(self):
        """Who may let the tool run unasked from now on, together with this decision: "asker" or "manager", or False."""
        if self.state != ToolCallState.APPROVAL or not self.channel_id or not self.tool_id:
            return False
        if self.server_id.scope != "user":
            return "manager"
        return self._may_allow_always(self.run_id.user_id) and "asker"

    def _may_allow_always(self, user):
        """Whether `user`, who may decide on this call, may let its tool run unasked from now on.

        What managers demand, only they can waive. A personal server is its owner's affair, in what they ask themselves.
        """
        if not self.channel_id or not self.tool_id:
            return False
        is_manager = user.has_group(MANAGERS)
        if self.server_id.scope != "user":
            return is_manager
        if not user == self.server_id.user_id == self.run_id.user_id:
            return False
        rule = self.run_id.assistant_id.approval
        return is_manager or strictest("auto", rule, read_only=self.tool_id.read_only) == "auto"

    def _approve(self):
        self.write({
            "state": ToolCallState.PENDING.value, "decided_by": self.env.uid, "decided_at": fields.Datetime.now()
        })
        self._broadcast()

    def _deny(self, text, user):
        """`text` is what the model is told. Without a `user`, nobody has decided."""
        self.write({"decided_by": user.id, "decided_at": fields.Datetime.now()})
        self._end(ToolResult(self.call_id, text, ToolCallState.DENIED))
        self._broadcast()

    def _expire(self):
        hours = round((self.expires_at - self.requested_at) / HOUR, 2)
        self._deny(
            f"Nobody decided within {hours:g} h, so it was not executed. Tell the person; repeat it only if they ask.",
            self.env["res.users"],
        )

    # -- before it leaves

    def _clear(self):
        """Whether the call may leave for its server now; where people have to be asked (again), it waits from here on.

        The run goes on with what it began with, but what it may do is what people allow at this moment.
        """
        self.ensure_one()
        if refusal := self._refusal():
            return Clearance(refusal=refusal)
        if not self._has_to_be_asked():
            return Clearance(arguments=self.arguments or {}) if self.is_changed else CLEARED
        if self.state == ToolCallState.INVOKING:  # it had been sent; that it could be again is not for a person to say
            return Clearance(refusal=OUTCOME_UNKNOWN)
        self._ask()
        return Clearance(asks=True)

    def _refusal(self):
        """Why the call may not be made any more, in words for the model; empty: it may."""
        run, tool = self.run_id, self.tool_id
        if not self.is_open:  # denied, in the moment before
            return self.response
        if not run.assistant_id._is_usable(run.user_id):
            return "Not executed: the person who asked may no longer use this assistant."
        if run.channel_id and not run.channel_id.with_user(run.user_id).is_member:
            return "Not executed: the person who asked has left this conversation."
        if not tool or not tool._is_offered(run.assistant_id, run.channel_id, run.user_id):
            return "Not executed: this tool may no longer be used. Go on without it, and say so."
        return ""

    def _has_to_be_asked(self):
        """Whether the call needs a decision that nobody has made, or has made about another tool than this is now."""
        if self.state == ToolCallState.APPROVAL or self.definition_hash != self.tool_id._definition():
            return True
        return not self.is_approved and self._asks_by_now()

    def _asks_by_now(self):
        """Whether people have to be asked about the tool, whatever was decided about the call."""
        run, tool = self.run_id, self.tool_id
        if tool._policy(run.assistant_id) != "ask":
            return False
        return tool not in self.env["ai.approval.rule"]._allowed_tools(run.assistant_id, run.channel_id, run.user_id)

    def _ask(self):
        """Have people decide about the tool as it is now."""
        definition = self.tool_id._definition()
        has_changed = self.definition_hash != definition
        if self.state != ToolCallState.APPROVAL or has_changed:
            self.write({
                **self._asking_values(),
                "definition_hash": definition,
                "has_changed": self.has_changed or has_changed,
            })
            self._broadcast()
