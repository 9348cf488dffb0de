"""A tool call: what the model asked for, how far it got, and its one result. The only definition, for storage, screen
and stream. Who executes it is the engine; this record says what has happened.
"""

import json
from datetime import UTC

from odoo import api, fields, models
from odoo.addons.mail.tools.discuss import Store

from ..services import states
from ..services.events import ToolCallFinished, ToolCallStarted
from ..services.messages import ToolResult
from ..services.states import TOOL_CALL_ENDS, ToolCallState
from ..services.transcript import encode_part

MAX_PARTS_CHARS = 8 * 1024 * 1024  # of one call; beyond that a part is remembered without its data

STATES = [
    (ToolCallState.PENDING.value, "Pending"),
    (ToolCallState.APPROVAL.value, "Waiting for approval"),
    (ToolCallState.INVOKING.value, "Running"),
    (ToolCallState.DONE.value, "Done"),
    (ToolCallState.ERROR.value, "Failed"),
    (ToolCallState.DENIED.value, "Denied"),
    (ToolCallState.CANCELLED.value, "Cancelled"),
]


class AiToolCall(models.Model):
    _name = "ai.tool.call"
    _description = "AI Tool Call"
    _order = "run_id, id"

    run_id = fields.Many2one("ai.run", required=True, readonly=True, ondelete="cascade", index=True)
    message_id = fields.Many2one(
        "mail.message", "Reply", readonly=True, ondelete="set null", index="btree_not_null",
        help="The reply that the call belongs to.",
    )
    channel_id = fields.Many2one(related="run_id.channel_id")
    # what was asked for
    call_id = fields.Char("Call", required=True, readonly=True, help="Its id in the conversation with the model.")
    round = fields.Integer(readonly=True, help="Which reply of the model asked for it, counted from 1.")
    tool_id = fields.Many2one("mcp.tool", "MCP Tool", readonly=True, ondelete="set null")
    server_id = fields.Many2one("mcp.server", "MCP Server", readonly=True, ondelete="set null")
    server_name = fields.Char("Server", readonly=True)
    tool_name = fields.Char("Tool", required=True, readonly=True)
    tool_title = fields.Char(readonly=True)
    arguments = fields.Json(readonly=True)
    arguments_text = fields.Text("Arguments as Text", compute="_compute_arguments_text")
    raw_arguments = fields.Text(readonly=True, help="What the model wrote, where that is not a JSON object.")
    # how far it got
    state = fields.Selection(STATES, required=True, readonly=True, default="pending")
    decided_by = fields.Many2one("res.users", readonly=True, ondelete="set null")
    decided_at = fields.Datetime(readonly=True)
    response = fields.Text(readonly=True, help="The result as the model reads it.")
    parts = fields.Json(readonly=True, prefetch=False, help="What the tool returned beside text.")
    is_error = fields.Boolean(readonly=True)
    truncated = fields.Boolean(readonly=True, help="The response is only a part of what the tool returned.")
    started_at = fields.Datetime(readonly=True)
    duration_ms = fields.Integer("Duration (ms)", readonly=True)

    _call_unique = models.UniqueIndex("(run_id, call_id)", "A call is recorded only once in its run.")

    @api.depends("arguments")
    def _compute_arguments_text(self):
        for call in self:
            call.arguments_text = json.dumps(call.arguments or {}, indent=2, ensure_ascii=False)

    @api.depends("tool_title", "tool_name")
    def _compute_display_name(self):
        for call in self:
            call.display_name = call.tool_title or call.tool_name

    def write(self, vals):
        if target := vals.get("state"):
            for call in self.filtered(lambda call: call.state != target):
                states.check_tool_call(call.state, target)
        return super().write(vals)

    @property
    def is_open(self):
        return self.state not in TOOL_CALL_ENDS

    @property
    def is_approved(self):
        return bool(self.decided_at) and self.state != ToolCallState.DENIED

    def _end(self, result):
        """Store the call's one result; a second one changes nothing."""
        self.ensure_one()
        if not self.is_open:
            return
        self.write({
            "state": result.state.value,
            "response": result.text,
            "is_error": result.is_error,
            "truncated": result.truncated,
            "duration_ms": result.duration_ms,
            "parts": _bounded(map(encode_part, result.parts)),
        })

    def _result(self):
        """The call's result as the model knows it; only where it has ended. What people see beside it stays here."""
        self.ensure_one()
        return ToolResult(
            self.call_id,
            self.response or "",
            ToolCallState(self.state),
            self.duration_ms,
            self.truncated,
        )

    def _started_event(self):
        return ToolCallStarted(
            id=self.call_id,
            tool=self.tool_name,
            server=self.server_name or "",
            args=self.arguments or {},
            state=ToolCallState(self.state),
            round=self.round,
            timestamp=_milliseconds(self.create_date),
            raw_args=self.raw_arguments or None,
        )

    def _finished_event(self):
        return ToolCallFinished(
            id=self.call_id,
            tool=self.tool_name,
            result=self.response or "",
            state=ToolCallState(self.state),
            duration_ms=self.duration_ms,
            timestamp=_milliseconds(self.write_date),
            truncated=self.truncated,
        )

    def _broadcast(self):
        """Tell every open tab of the channel's members how these calls are now."""
        for call in self:
            channel = call.channel_id
            if not channel:
                continue
            store = Store(bus_channel=channel).add(call)
            store.bus_send()
            record = next(data for data in store.get_result()[self._name] if data["id"] == call.id)
            channel._bus_send("assistant.toolCall.updated", record)

    def _to_store_defaults(self, target):
        return [
            Store.Attr("arguments", lambda call: call.arguments or {}),
            "call_id",
            "display_name",
            "duration_ms",
            "is_error",
            Store.One("message_id", []),
            "response",
            "round",
            Store.One("run_id", []),
            "server_name",
            "started_at",
            "state",
            "tool_name",
            "truncated",
        ]


def _bounded(parts):
    """`parts` with their data, as long as that is not too much for a row."""
    kept, room = [], MAX_PARTS_CHARS
    for part in parts:
        room -= len(part["data"])
        kept.append(part if room >= 0 else {**part, "data": ""})
    return kept


def _milliseconds(moment):
    """A stored (UTC, naive) date and time as the events say it."""
    return round(moment.replace(tzinfo=UTC).timestamp() * 1000)
