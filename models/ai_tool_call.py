"""A tool call: what the model asked for, how far it got, and its one result. The only definition, for storage, screen
and stream. Who executes it is the engine; this record says what has happened.
"""

import base64
import json
import math
import re
from datetime import UTC, timedelta

from odoo import api, fields, models
from odoo.addons.mail.tools.discuss import Store
from odoo.fields import Command
from odoo.tools.constants import GC_UNLINK_LIMIT

from ..services import states
from ..services.events import ToolCallFinished, ToolCallStarted
from ..services.files import safe_name, safe_type
from ..services.messages import ToolPart, ToolResult
from ..services.states import TOOL_CALL_ENDS, ToolCallState
from ..services.wire_v1 import storable

FILES = ("image", "audio", "file")  # the kinds of parts that have bytes
# Characters that are not seen or turn around what follows: who decides on a call must see what it really says.
DECEPTIVE = re.compile("[\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
PROGRESS = ("progress", "progress_message", "progress_total")  # all that changes while a call runs

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
    parts = fields.Json(
        readonly=True, prefetch=False,
        help="What the tool returned beside text, in its order: links and small data themselves, files by attachment.",
    )
    attachment_ids = fields.Many2many(
        "ir.attachment", "ai_tool_call_attachment_rel", "call_id", "attachment_id", "Files", readonly=True, copy=False,
        help="Images, sounds and files that the tool returned. They are open to whoever may see the call, and once the "
        "reply is posted, to whoever may read it.",
    )
    is_error = fields.Boolean(readonly=True)
    truncated = fields.Boolean(readonly=True, help="The response is only a part of what the tool returned.")
    started_at = fields.Datetime(readonly=True)
    duration_ms = fields.Integer("Duration (ms)", readonly=True)
    progress = fields.Float(readonly=True, help="How far the tool says it is, in a unit of its own.")
    progress_total = fields.Float(readonly=True, help="What its progress counts up to; 0: the tool does not say.")
    progress_message = fields.Char(readonly=True, help="What the tool says it is doing.")

    _call_unique = models.UniqueIndex("(run_id, call_id)", "A call is recorded only once in its run.")

    @api.depends("arguments")
    def _compute_arguments_text(self):
        for call in self:
            call.arguments_text = legible(call.arguments)

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

    def _note_progress(self, progress):
        """Show what the tool says of its progress; of a call that has ended nobody wants to know."""
        self.ensure_one()
        if self.state != ToolCallState.INVOKING:
            return
        self.write({
            "progress": _finite(progress.progress),
            "progress_total": _finite(progress.total),
            "progress_message": storable(progress.message or ""),
        })
        if channel := self.channel_id:
            Store(bus_channel=channel).add(self, list(PROGRESS)).bus_send()

    def _end(self, result):
        """Store the call's one result; a second one changes nothing."""
        self.ensure_one()
        if not self.is_open:
            return
        files = self._attach(result.parts)
        self.write({
            "state": result.state.value,
            "response": storable(result.text),
            "is_error": result.is_error,
            "truncated": result.truncated,
            "duration_ms": result.duration_ms,
            "parts": [_remembered(part, file) for part, file in zip(result.parts, files, strict=True)],
            "attachment_ids": [Command.link(file.id) for file in files if file],
        })

    def _attach(self, parts):
        """An attachment for each of `parts` that has bytes, None for the others."""
        # what Odoo recognises by itself becomes plain text where a browser could execute it; and no image is opened:
        # it may be made to take all memory once it is
        model = self.env["ir.attachment"].with_context(attachments_mime_plainxml=True, image_no_postprocess=True)
        attachments = iter(model.create([self._attachment_values(part) for part in parts if part.kind in FILES]))
        return [next(attachments) if part.kind in FILES else None for part in parts]

    def _attachment_values(self, part):
        content = base64.b64decode(part.data)
        mime_type = safe_type(content, part.mime_type)
        return {
            "name": storable(safe_name(part.name or self.tool_name, mime_type)),
            "raw": content,
            "mimetype": mime_type,
            "res_model": self._name,
            "res_id": self.id,
            "company_id": self.run_id.company_id.id,
        }

    def _share_files(self, channel):
        """Make the tools' files part of the conversation, as those are that people attach there; return their ids."""
        self.attachment_ids.write({"res_model": channel._name, "res_id": channel.id})
        return self.attachment_ids.ids

    def _result(self, with_images=False):
        """The call's result as the model knows it; only where it has ended. Of what people see beside the text, models
        see images, which are read only where they are wanted."""
        self.ensure_one()
        return ToolResult(
            self.call_id,
            self.response or "",
            ToolCallState(self.state),
            self.duration_ms,
            self.truncated,
            tuple(self._images()) if with_images else (),
            self._change_note(),
            self._changed_arguments(),
        )

    def _images(self):
        """The images that the tool returned, as far as nobody has deleted them."""
        contents = {file.id: file.raw for file in self.attachment_ids if file.mimetype.startswith("image/")}
        for part in self.parts or ():
            if content := contents.get(part.get("attachment_id")):
                yield ToolPart("image", part["mime_type"], base64.b64encode(content).decode(), name=part["name"])

    @api.autovacuum
    def _gc_files(self):
        """Delete the files of calls that went with their run: the database cascades without a word."""
        self.env.cr.execute(
            """
            SELECT id FROM ir_attachment
             WHERE res_model = %s AND NOT EXISTS (SELECT FROM ai_tool_call WHERE ai_tool_call.id = res_id)
             LIMIT %s
            """,
            [self._name, GC_UNLINK_LIMIT],
        )
        self.env["ir.attachment"].browse(row[0] for row in self.env.cr.fetchall()).unlink()

    def _started_event(self):
        return ToolCallStarted(
            id=self.call_id,
            tool=self.tool_name,
            server=self.server_name or "",
            args=self._proposed_arguments(),
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
            timestamp=_milliseconds(self._ended_at()),
            truncated=self.truncated,
            args=self._changed_arguments(),
        )

    def _elapsed_ms(self):
        """How long it has been running; False where it isn't."""
        if self.state != ToolCallState.INVOKING or not self.started_at:
            return False
        return max(0, round((fields.Datetime.now() - self.started_at) / timedelta(milliseconds=1)))

    def _ended_at(self):
        """When it had its result. The row is written again when the reply is posted."""
        if self.state == ToolCallState.DENIED:
            return self.decided_at or self.write_date
        if self.state != ToolCallState.CANCELLED and self.started_at:
            return self.started_at + timedelta(milliseconds=self.duration_ms)
        return self.write_date

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
            Store.Attr("always_by", lambda call: call._always_by()),
            Store.Attr("arguments", lambda call: call.arguments or {}),
            # sudo: ir.attachment - whoever may read a call may see what came of it
            Store.Many("attachment_ids", sudo=True),
            "call_id",
            "decided_at",
            Store.One("decided_by", [Store.One("partner_id", ["name"])]),
            "destructive",
            "display_name",
            "duration_ms",
            Store.Attr("elapsed_ms", lambda call: call._elapsed_ms()),
            "expires_at",
            "has_changed",
            Store.Attr("is_as_asker", lambda call: call._is_as_asker()),
            "is_error",
            Store.One("message_id", []),
            Store.Attr("parts", lambda call: call.parts or []),
            *PROGRESS,
            Store.Attr("proposed_arguments", lambda call: call.is_changed and call._proposed_arguments()),
            "read_only",
            "response",
            "round",
            Store.One("run_id", []),
            "server_name",
            "started_at",
            "state",
            "tool_name",
            "truncated",
        ]


def legible(arguments):
    """Arguments as JSON for people, with such characters written out."""
    text = json.dumps(arguments or {}, indent=2, ensure_ascii=False)
    return DECEPTIVE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _remembered(part, file):
    """`part` as its row remembers it; the bytes of `file` are not in there."""
    remembered = {"kind": part.kind, "name": part.name, "mime_type": part.mime_type, "uri": part.uri}
    return storable(remembered | ({"name": file.name, "attachment_id": file.id} if file else {"text": part.data}))


def _finite(number):
    """A number that a tool reported, as a column takes it."""
    return number if number is not None and math.isfinite(number) else 0.0


def _milliseconds(moment):
    """A stored (UTC, naive) date and time as the events say it."""
    return round(moment.replace(tzinfo=UTC).timestamp() * 1000)
