"""`/api/ai/stream/<channel_id>`: post a message and watch its run, or attach to a run.

It reads the journal and drives nothing: a viewer that goes away changes nothing for the run.
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from http import HTTPStatus

import odoo
from odoo import http
from odoo.http import Response, request
from odoo.tools import config, plaintext2html

from ..runtime import places, settings, tail
from ..services import sse, wire_v1
from ..services.states import RUN_ENDS
from .dispatcher import MAX_BODY_BYTES, ApiError, bad_request

STREAM_URL = "/api/ai/stream/<int:channel_id>"
STREAM_HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache, no-transform",  # a proxy that compresses also buffers
    "X-Accel-Buffering": "no",  # nginx
}
MAX_KEY_LENGTH = 255  # characters of an Idempotency-Key
MAX_RUN_ID_DIGITS = 10  # of PostgreSQL's integer

_logger = logging.getLogger(__name__)


class StreamController(http.Controller):

    @http.route(
        STREAM_URL, type="ai", auth="ai", methods=["POST"], save_session=False, max_content_length=MAX_BODY_BYTES
    )
    def post_message(self, channel_id, body):
        text, attachment_ids = _message_of(body)
        key = _idempotency_key()
        channel = _find_channel(channel_id)
        with places.take() as place:
            run = request.env["ai.run"]._find_request(channel, key) or _post(channel, text, attachment_ids, key)
            return _stream(run.id, 0, place.pop_all())

    @http.route(STREAM_URL, type="ai", auth="ai", methods=["GET"], save_session=False)
    def attach(self, channel_id):
        run_id, after_seq = _resume_point()
        channel = _find_channel(channel_id)
        run = _find_run(channel, run_id)
        if after_seq and _is_complete_at(run, after_seq):
            return Response(status=HTTPStatus.NO_CONTENT)
        return _stream(run.id, after_seq, places.take())


def _message_of(body: dict) -> tuple[str, list[int]]:
    """What a body asks to post: its text, and the ids of its attachments."""
    text, attachment_ids = body.get("message", ""), body.get("attachment_ids") or []
    if not isinstance(text, str):
        raise bad_request("'message' must be a text.")
    if not isinstance(attachment_ids, list) or not all(type(item) is int for item in attachment_ids):
        raise bad_request("'attachment_ids' must be a list of numbers.")
    text = wire_v1.storable_text(text)
    if not text.strip() and not attachment_ids:
        raise ApiError(HTTPStatus.BAD_REQUEST, "no_message", "Say something in 'message', or attach a file.")
    return text, attachment_ids


def _idempotency_key() -> str | None:
    key = request.httprequest.headers.get("Idempotency-Key", "").strip()
    if len(key) > MAX_KEY_LENGTH:
        raise bad_request(f"'Idempotency-Key' is longer than {MAX_KEY_LENGTH} characters.")
    return key or None


def _resume_point() -> tuple[int | None, int]:
    """Which run a client wants to see, if it says so, and after which frame."""
    run_id, after_seq = _wanted_run(), 0
    if last_event_id := request.httprequest.headers.get("Last-Event-ID", "").strip():
        try:
            last_run_id, after_seq = sse.parse_last_event_id(last_event_id)
        except ValueError as exc:
            raise bad_request(str(exc)) from exc
        if run_id not in (None, last_run_id):
            raise bad_request(f"'run_id' names run {run_id}, 'Last-Event-ID' names run {last_run_id}.")
        run_id = last_run_id
    return run_id, after_seq


def _wanted_run() -> int | None:
    text = request.httprequest.args.get("run_id")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_RUN_ID_DIGITS):
        raise bad_request("'run_id' must be the number of a run.")
    return int(text)


def _find_channel(channel_id: int):
    """The channel, for one of its members. Who may not even see it does not learn that it exists."""
    channel = request.env["discuss.channel"].search([("id", "=", channel_id)])
    if not channel:
        raise ApiError(HTTPStatus.NOT_FOUND, "channel_not_found", f"There is no channel {channel_id} for you.")
    if not channel.is_member:
        raise ApiError(HTTPStatus.FORBIDDEN, "access_denied", "You are not a member of this channel.")
    return channel


def _post(channel, text: str, attachment_ids: list[int], key: str | None):
    if not channel.ai_assistant_id:
        raise ApiError(HTTPStatus.CONFLICT, "no_assistant", "This channel has no assistant of its own.")
    attachments = _find_attachments(channel, attachment_ids)
    return channel._ai_post(plaintext2html(text), attachment_ids=attachments.ids, idempotency_key=key)


def _find_attachments(channel, attachment_ids: list[int]):
    """The files to send, now the channel's: only what the caller has uploaded and not used elsewhere."""
    # sudo: ir.attachment - whose they are, and that nothing else owns them, is checked right here
    attachments = request.env["ir.attachment"].sudo().browse(attachment_ids).exists()
    own = attachments.filtered(lambda file: file.create_uid == request.env.user and _is_free(file, channel))
    if missing := sorted(set(attachment_ids) - set(own.ids)):
        raise bad_request(f"These attachments don't exist, or are not yours to send here: {missing}.")
    own.write({"res_model": channel._name, "res_id": channel.id})
    return own


def _is_free(file, channel) -> bool:
    return not file.res_field and (not file.res_id or (file.res_model, file.res_id) == (channel._name, channel.id))


def _find_run(channel, run_id: int | None):
    """The wanted run of `channel`, or its newest."""
    domain = [("channel_id", "=", channel.id)] + ([("id", "=", run_id)] if run_id is not None else [])
    # sudo: ai.run - members of a channel may watch its runs, and the caller is one
    run = request.env["ai.run"].sudo().search(domain, order="id desc", limit=1)
    if not run:
        message = "Nothing was asked in this channel yet." if run_id is None else f"This channel has no run {run_id}."
        raise ApiError(HTTPStatus.NOT_FOUND, "run_not_found", message)
    return run


def _is_complete_at(run, seq: int) -> bool:
    """Whether nothing comes after that frame any more."""
    [(last_seq,)] = run.env["ai.run.event"]._read_group([("run_id", "=", run.id)], aggregates=["seq:max"])
    if run.state in RUN_ENDS:
        return seq >= (last_seq or len(run._journal_from_records()))
    if seq > (last_seq or 0):
        raise bad_request(f"'Last-Event-ID' names frame {seq}, which run {run.id} has not sent yet.")
    return False


def _stream(run_id: int, after_seq: int, place: ExitStack) -> Response:
    frames = _frames(request.env.cr.dbname, run_id, after_seq, place)
    return Response(frames, headers=STREAM_HEADERS, direct_passthrough=True)


def _frames(dbname: str, run_id: int, after_seq: int, place: ExitStack) -> Iterator[bytes]:
    """The frames of a run as they come. Runs after its request: whatever goes wrong here, the client can resume."""
    ping, slice_ = settings.ping_seconds(), _slice_seconds()
    end = time.monotonic() + slice_
    # What Odoo calls a request that may last; any other is stuck after limit_time_real. It stays so: whenever Odoo
    # looks, this thread is old.
    threading.current_thread().type = "websocket"
    follower = tail.follow(dbname, run_id, after_seq, idle=min(ping, slice_ / 10))
    try:
        yield b""  # the status and headers leave now, not with the first frame
        for item in follower:
            yield sse.PING if item is None else _frame(run_id, *item)
            if time.monotonic() > end:
                return
    except Exception:
        _logger.exception("The stream of run %s broke off", run_id)
    finally:
        follower.close()
        place.close()


def _frame(run_id: int, seq: int, payload: dict) -> bytes:
    return sse.frame(run_id, seq, wire_v1.in_order(payload))


def _slice_seconds() -> float:
    """How long one response may last before the client has to come again: for ever, except in an HTTP worker."""
    if not config["workers"] or odoo.evented:
        return float("inf")
    return settings.http_slice_seconds()
