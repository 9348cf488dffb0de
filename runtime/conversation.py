"""What a run's model is told of the conversation: read from records, the newest first, and no more than it can read.

What exactly goes into a request is for `services.history` to say. Here it is estimated before anything is loaded, so
that a conversation of any length costs no more than the part of it that is told.
"""

from dataclasses import replace
from itertools import starmap
from typing import NamedTuple

from odoo.tools import SQL

from ..services import context, history
from ..services.events import Notice
from ..services.messages import Message, ToolResult
from ..services.states import ToolCallState
from . import attached, record

MAX_MESSAGES = 1_000  # however short they are
LOOKED_AT_FIRST = 100  # messages; enough for most models or conversations
LOOKED_AT_CHARS = 4_000  # of a message, to estimate how much of it is text
MAX_BYTES = 8 * 1024 * 1024  # as they are stored, with markup and reasoning, which models are not told


class _Said(NamedTuple):
    """A message, before it is loaded."""

    id: int
    run_id: int | None  # whose reply it is
    earlier_run_ids: list[int]  # that answer it, and had not by the time of the question
    text_bytes: int  # what a model would read of it, about
    stored_bytes: int  # what it takes to load it


def read(run, assistant, room) -> tuple[list[Message], list[Notice]]:
    """What the model of `assistant` is told: the conversation up to the question of `run`, as far as there is room; and
    what people should know about it. Both records come with sudo: access was checked before."""
    room_tokens = room.tokens // 2  # the other half is for what the run's own tools return
    newest, is_complete = _newest(run, assistant, room_tokens)
    about, record_notices = record.read(run, room)
    stored, file_notices = _remembered(run, assistant, newest, room, about)
    messages, notices = history.build(
        assistant.system_prompt or "",
        stored,
        is_group=_is_group(run.channel_id),
        room_tokens=room_tokens,
        is_complete=is_complete,
    )
    return messages, [*record_notices, *file_notices, *notices]


def _newest(run, assistant, room_tokens) -> tuple[list[_Said], bool]:
    """The newest messages up to the question, as many as there is room for; and whether that is all of them."""
    for limit in (LOOKED_AT_FIRST, MAX_MESSAGES):
        found = _look(run, assistant, limit + 1)
        fitting = _fitting(found[:limit], room_tokens)
        if len(fitting) < limit:
            break
    return fitting, len(fitting) == len(found)


def _fitting(found, room_tokens) -> list[_Said]:
    """As many of these messages as there is room for, and the first in any case: it is the question."""
    tokens, size = 0, 0
    for count, said in enumerate(found):
        tokens += context.MESSAGE_TOKENS + said.text_bytes // context.CHARS_PER_TOKEN
        size += said.stored_bytes
        if count and (tokens > room_tokens or size > MAX_BYTES):
            return found[:count]
    return found


def _look(run, assistant, limit) -> list[_Said]:
    """The newest messages up to the question, newest first; in one query, which reads no more of them than it must."""
    run.env.flush_all()
    return list(starmap(_Said, run.env.execute_query(SQL(
        """
        SELECT said.id,
               reply.id,
               ARRAY(
                   SELECT earlier.id FROM ai_run earlier
                    WHERE earlier.trigger_message_id = said.id AND earlier.id < %(run)s
                      AND earlier.is_replaced IS NOT TRUE
                      AND (earlier.message_id > %(question)s OR earlier.finished_at IS NULL)
               ),
               results.bytes + coalesce(
                   CASE WHEN reply.id IS NULL
                        THEN octet_length(regexp_replace(left(said.body, %(looked_at)s), '<[^>]*>', '', 'g'))
                        ELSE octet_length(reply.text)
                   END, 0
               ),
               results.bytes + coalesce(octet_length(said.body), 0) + coalesce(pg_column_size(reply.transcript), 0)
          FROM mail_message said
     LEFT JOIN ai_run reply ON reply.message_id = said.id
    CROSS JOIN LATERAL (
                   SELECT coalesce(sum(octet_length(response)), 0) AS bytes FROM ai_tool_call
                    WHERE run_id = reply.id AND reply.assistant_id = %(assistant)s
               ) results
         WHERE %(is_here)s
           AND said.message_type = 'comment' AND said.id <= %(question)s
           AND reply.is_replaced IS NOT TRUE
      ORDER BY said.id DESC
         LIMIT %(limit)s
        """,
        run=run.id, question=run.trigger_message_id.id, is_here=_is_here(run), assistant=assistant.id,
        looked_at=LOOKED_AT_CHARS, limit=limit,
    ))))


def _is_here(run) -> SQL:
    """Whether a message belongs to the conversation. A thread begins with the message that it was started from."""
    is_here = SQL("said.model = 'discuss.channel' AND said.res_id = %s", run.channel_id.id)
    origin = run.channel_id.from_message_id
    if origin and origin.with_env(run._acting_env()).has_access("read"):
        return SQL("((%s) OR said.id = %s)", is_here, origin.id)
    return is_here


def _remembered(run, assistant, newest, room, about) -> tuple[list[history.StoredMessage], list[Notice]]:
    """These messages as the assistant remembers them, in the order in which they make sense to it, none that was
    deleted; and its earlier runs that have not ended (they wait for a person). And what people should know about them.
    Behind the question stands what it is asked `about`.

    An answer may have been posted after a later question: it goes where it belongs, behind its own question, so that
    the model sees what has been answered, and the newest question is the last.
    """
    said = run.env["mail.message"].browse(message.id for message in newest)
    earlier = run.browse(sorted(id_ for message in newest for id_ in message.earlier_run_ids))
    runs = earlier | run.browse(message.run_id for message in newest if message.run_id)
    runs.fetch(["assistant_id", "message_id", "text", "transcript", "trigger_message_id"])
    place = {message.id: (message.id, 0) for message in said}
    place |= {
        reply.message_id.id: (reply.trigger_message_id.id, reply.id)
        for reply in runs if reply.message_id and reply.trigger_message_id.id in place
    }
    conversation = said | runs.message_id
    conversation.fetch(["attachment_ids", "author_guest_id", "author_id", "body", "email_from"])
    conversation = conversation.filtered(lambda message: not message._ai_is_deleted())
    conversation.author_id.fetch(["name", "partner_share"])
    own = runs.filtered(lambda other: other.assistant_id == assistant)
    shown = with_images(_calls(own), room)
    replies = {reply.message_id: reply for reply in runs}
    unfinished = own.filtered(lambda other: not other.message_id).grouped("trigger_message_id")
    files, notices = attached.read(run, conversation - runs.message_id, room)
    stored = []
    for message in conversation.sorted(lambda message: place[message.id]):
        remembered = message._ai_stored(assistant, replies.get(message, run.browse()), shown, files.get(message.id, {}))
        if message == run.trigger_message_id and about:
            remembered = replace(remembered, text=f"{remembered.text or history.NO_TEXT}\n\n{about}")
        if remembered.is_assistant or remembered.text:  # of another assistant that failed there is only a note
            stored.append(remembered)
        stored += map(_so_far, unfinished.get(message, ()))
    if run.continues_run_id:
        stored.append(history.StoredMessage(run.user_id.name, history.GO_ON, is_assistant=False))
    return stored, notices


def _calls(runs):
    """The calls of these runs, with all at once what is told of them."""
    calls = runs.tool_call_ids
    calls.fetch(["call_id", "duration_ms", "response", "state", "truncated"])
    return calls


def with_images(calls, room):
    """Those of `calls` whose images the model is shown: the newest, as many as fit into a request. Only their images
    are read."""
    shown, count, size = calls.browse(), 0, 0
    for call in calls.sorted("id", reverse=True) if room.sees_images else ():
        images = call.attachment_ids.filtered(lambda file: file.mimetype in context.SEEN_TYPES)
        if not images:
            continue
        count, size = count + len(images), size + sum(images.mapped("file_size"))
        shown |= call
        if count >= context.MAX_IMAGES or size >= context.MAX_IMAGES_CHARS:
            break
    return shown


def _so_far(run) -> history.StoredMessage:
    """A run that has not ended, as its assistant remembers it: with a word on the calls that are still open."""
    turns, results = run._stored_turns()
    for call in run.tool_call_ids.filtered(lambda call: call.is_open):
        state = ToolCallState(call.state)
        text = history.AWAITING_APPROVAL if state is ToolCallState.APPROVAL else history.UNDER_WAY
        results[call.call_id] = ToolResult(call.call_id, text, state)
    return history.StoredMessage(author="", text="", is_assistant=True, turns=turns, results=results)


def _is_group(channel) -> bool:
    """Whether several people talk to the assistant: then the model has to know who says what."""
    assistants = list(channel.env["ai.assistant"]._ids_by_partner())
    # guests have no partner, and so none of an assistant's
    people = [("channel_id", "=", channel.id), ("partner_id", "not in", assistants)]
    return channel.env["discuss.channel.member"].search_count(people, limit=2) > 1
