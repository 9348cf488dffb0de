"""A stored conversation as the messages that a model gets: written down in order, repaired.

Pure: it reads values and returns values. What a conversation is, and which of its messages an assistant may see, is
decided above; how much of it fits into a request is `context`'s affair; how a message looks on the wire, `messages`'.
"""

import hashlib
import json
import re
from collections import defaultdict, deque
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from .context import exchanges, images_of, trim
from .events import Notice
from .messages import (
    AssistantMessage,
    Message,
    SystemMessage,
    ToolCall,
    ToolMessage,
    ToolResult,
    Turn,
    UserMessage,
    join_texts,
)
from .specs import Checkpoint
from .wire_v1 import storable

INTERRUPTED = "Interrupted: no result of this call was recorded."
OUTCOME_UNKNOWN = (
    "Interrupted: the call had been sent, its outcome is unknown. It may have taken effect; do not repeat it blindly."
)
AWAITING_APPROVAL = "Awaiting approval by a person: not executed yet. Its result will follow; do not repeat the call."
UNDER_WAY = "Not finished yet. Its result will follow; do not repeat the call."
NO_ANSWER = "(No answer.)"
GO_ON = (
    "Your last reply broke off. Go on exactly where it ended: repeat nothing of it, and say nothing about the "
    "interruption."
)
NO_TEXT = "(a message without text)"  # several servers refuse an empty one
NOBODY = "Someone"
MARGIN = "  "
GROUP_NOTE = (
    "Several people write in this conversation. Each of their messages begins with the writer's name and a colon; its "
    "further lines are indented. A name anywhere else is only what somebody wrote."
)

TRIMMED = Notice("history_trimmed", "The conversation is long: the assistant sees only its most recent part.")

_COLON = re.compile("[:\ua789\ufe13\ufe55\uff1a]")  # and what looks like one
_LINE_BREAK = re.compile("\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")  # as str.splitlines has them


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message of the conversation, as the assistant that will answer remembers it."""

    author: str
    text: str
    is_assistant: bool  # it is this assistant's own; what other assistants say is said by somebody else
    turns: tuple[Turn, ...] = ()  # how an own reply came about
    results: Mapping[str, ToolResult] = field(default_factory=dict)  # of the turns' calls, by call id
    images: tuple[str, ...] = ()


def build(
    system_prompt: str, stored: Iterable[StoredMessage], *, is_group: bool, room_tokens: int, is_complete: bool = True
) -> tuple[list[Message], list[Notice]]:
    """The messages for a model, oldest first, and what people should know about them. The last of `stored` is the one
    to be answered; in a group people's messages begin with their names. Not `is_complete`: there are older ones, of
    which it was clear that they do not fit."""
    prompt = "\n\n".join(filter(None, [system_prompt, GROUP_NOTE if is_group else ""]))
    messages: list[Message] = [SystemMessage(prompt)] if prompt else []
    for message in stored:
        messages += _own(message) if message.is_assistant else [_said(message, is_group)]
    messages = repair(messages)
    kept = trim(messages, room_tokens, is_complete=is_complete)
    return kept, [] if is_complete and len(kept) == len(messages) else [TRIMMED]


def repair(messages: Sequence[Message]) -> list[Message]:
    """`messages` as every provider takes them. The passes, in the order in which they need each other."""
    passes: tuple[Callable[[Sequence[Message]], Sequence[Message]], ...] = (
        _with_own_ids,  # first: results are paired by id
        _with_valid_arguments,
        _with_one_result_per_call,
        _without_empty_replies,  # before merging: what is empty must not keep its neighbours apart
        _with_replies_in_one_piece,
        _with_an_answer_to_results,
    )
    for apply in passes:
        messages = apply(messages)
    return list(messages)


def replay(messages: Sequence[Message], checkpoint: Checkpoint) -> list[Message]:
    """`messages`, followed by what an earlier attempt has done since.

    Calls of the last turn that have no result stay open, for the loop to execute, except those that had been sent:
    their outcome is unknown, and the result says so.
    """
    replayed = list(messages)
    for number, turn in enumerate(checkpoint.turns, 1):
        replayed.append(turn.message)
        for call in turn.message.tool_calls:
            if call.id in checkpoint.results:
                replayed.append(_answered(call, checkpoint.results[call.id]))
            elif call.id in checkpoint.sent:
                replayed.append(ToolMessage(call.id, OUTCOME_UNKNOWN))
            elif number < len(checkpoint.turns):
                replayed.append(ToolMessage(call.id, INTERRUPTED))
    return replayed


def _own(stored: StoredMessage) -> Iterator[Message]:
    """A reply of the assistant, with the calls and results that led to it."""
    for turn in stored.turns:
        yield turn.message
        for call in turn.message.tool_calls:
            if result := stored.results.get(call.id):
                yield _answered(call, result)
    yield AssistantMessage(_said_after_the_turns(stored))


def _answered(call: ToolCall, result: ToolResult) -> ToolMessage:
    text = "\n\n".join(filter(None, [result.note, result.text]))
    return ToolMessage(call.id, text, images_of(result))


def _said_after_the_turns(stored: StoredMessage) -> str:
    """The part of the text that no turn has: all of it where there are none, else what a stopped run said last."""
    if stored.turns and not stored.turns[-1].message.tool_calls:
        return ""
    told = join_texts(turn.message.text for turn in stored.turns)
    return stored.text[len(told):].strip() if stored.text.startswith(told) else ""


def _said(stored: StoredMessage, is_group: bool) -> UserMessage:
    text = stored.text if stored.text.strip() else NO_TEXT
    return UserMessage(_with_name(stored.author, text) if is_group else text, stored.images)


def _with_name(author: str, text: str) -> str:
    """`text` behind its writer's name. Only the first line can begin at the margin, and no name contains a colon or a
    line break: so nobody's text looks as if somebody else had said it."""
    name = " ".join(_COLON.sub(" ", author).split()) or NOBODY
    return f"{name}: {_LINE_BREAK.sub(lambda found: found[0] + MARGIN, text)}"


def indented(text: str) -> str:
    """`text` as a part of another one: no line of it begins at the margin, where only what we say ourselves does."""
    return MARGIN + _LINE_BREAK.sub(lambda found: found[0] + MARGIN, text)


# -- passes: each returns what it got where nothing is wrong


def _with_own_ids(messages: Sequence[Message]) -> Sequence[Message]:
    """REPLACE ids of calls that are empty or repeat an earlier one, because providers refuse a request with two calls
    of the same id. Results follow: of two calls with one id, the first result belongs to the first call."""
    seen: set[str] = set()
    taken = {call.id for message in messages if isinstance(message, AssistantMessage) for call in message.tool_calls}
    repaired: list[Message] = []
    for message, results in exchanges(messages):
        if isinstance(message, AssistantMessage) and message.tool_calls:
            calls = tuple(_with_own_id(call, seen, taken) for call in message.tool_calls)
            new_ids = defaultdict(deque)
            for old, new in zip(message.tool_calls, calls, strict=True):
                new_ids[old.id].append(new.id)
            message = replace(message, tool_calls=calls)
            results = [
                replace(result, call_id=new_ids[result.call_id].popleft()) if new_ids[result.call_id] else result
                for result in results
            ]
        repaired += [message, *results] if message else results
    return repaired


def _with_own_id(call: ToolCall, seen: set[str], taken: set[str]) -> ToolCall:
    new_id = call.id
    if not new_id or new_id in seen:
        new_id = _minted_id(call.id, taken)
        taken.add(new_id)
    seen.add(new_id)
    return call if new_id == call.id else replace(call, id=new_id)


def _minted_id(old: str, taken: Container[str]) -> str:
    """Nine characters, which the strictest provider takes; the same for the same conversation, for the prompt cache."""
    number = 0
    while True:
        minted = hashlib.sha256(f"{number} {old}".encode(errors="replace")).hexdigest()[:9]
        if minted not in taken:
            return minted
        number += 1


def _with_valid_arguments(messages: Sequence[Message]) -> Sequence[Message]:
    """REPLACE numbers in arguments that JSON does not have (infinity), because they would make the request invalid."""
    return [
        replace(message, tool_calls=tuple(map(_with_valid_json, message.tool_calls)))
        if isinstance(message, AssistantMessage) and message.tool_calls
        else message
        for message in messages
    ]


def _with_valid_json(call: ToolCall) -> ToolCall:
    try:
        json.dumps(call.arguments, allow_nan=False)
    except (TypeError, ValueError):
        return replace(call, arguments=storable(call.arguments))
    return call


def _with_one_result_per_call(messages: Sequence[Message]) -> Sequence[Message]:
    """REMOVE results without a call and second results; ADD one where a call has none. Results stand right behind their
    calls and in their order. A provider refuses whatever is not paired, and with it the whole conversation."""
    repaired: list[Message] = []
    for message, results in exchanges(messages):
        if message is not None:
            repaired.append(message)
        if isinstance(message, AssistantMessage):
            first = {result.call_id: result for result in reversed(results)}
            repaired += [first.get(call.id) or ToolMessage(call.id, INTERRUPTED) for call in message.tool_calls]
    return repaired


def _without_empty_replies(messages: Sequence[Message]) -> Sequence[Message]:
    """REMOVE replies with neither text nor calls: they say nothing, and several servers refuse them."""
    return [
        message
        for message in messages
        if not isinstance(message, AssistantMessage) or message.tool_calls or message.text.strip()
    ]


def _with_replies_in_one_piece(messages: Sequence[Message]) -> Sequence[Message]:
    """REPLACE neighbouring replies by one, because several servers want the roles to alternate. What people say one
    after another stays apart: they are different messages, perhaps of different people."""
    merged: list[Message] = []
    for message in messages:
        last = merged[-1] if merged else None
        if isinstance(message, AssistantMessage) and isinstance(last, AssistantMessage):
            text, reasoning = _paragraphs(last.text, message.text), _paragraphs(last.reasoning, message.reasoning)
            merged[-1] = AssistantMessage(text, message.tool_calls, reasoning)
        else:
            merged.append(message)
    return merged


def _with_an_answer_to_results(messages: Sequence[Message]) -> Sequence[Message]:
    """ADD a reply where a person speaks right after results (the run was stopped, or waits), because several servers
    refuse that."""
    answered: list[Message] = []
    next_speaker: type[Message] | None = None
    for message in reversed(messages):
        if isinstance(message, ToolMessage) and next_speaker is UserMessage:
            answered.append(AssistantMessage(NO_ANSWER))
        if not isinstance(message, SystemMessage):
            next_speaker = type(message)
        answered.append(message)
    return answered[::-1]


def _paragraphs(*texts: str) -> str:
    return "\n\n".join(filter(None, texts))
