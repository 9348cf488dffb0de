"""What of a conversation fits into one request to the model, in tokens and in images; the least needed goes first.

Pure. Tokens are estimated, because only a model's own vocabulary could count them. What is left out never parts a call
from its result: that a request is valid is `history`'s affair, and stays true here.
"""

import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from .events import Notice
from .messages import AssistantMessage, Message, SystemMessage, ToolCall, ToolMessage, ToolResult, UserMessage
from .specs import ModelSpec, Room, ToolSpec
from .tools import MAX_TOOLS

ASSUMED_CONTEXT_TOKENS = 128_000  # of a model that nobody has described: most of today's read as much
CHARS_PER_TOKEN = 4  # of ASCII; any other character is taken for a token of its own
MESSAGE_TOKENS = 5  # what a message, a call or a tool costs beside its text
IMAGE_TOKENS = 1_000  # what an image costs, about, with most models
MIN_RESULT_TOKENS = 200  # of a newest result's text, however little room there is: the model has just asked for it
MAX_IMAGES = 5  # in one request: what the strictest hosted provider takes
MAX_IMAGES_CHARS = 8 * 1024 * 1024  # of all of them, as base64

LEFT_OUT = "[This older result was left out: the conversation is too long to be read at once.]"
CUT_OFF = "\n[… the rest was left out: it is too long to be read at once]"
IMAGES_FOLLOW = "(The images of these results follow.)"
SEEN_TYPES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})  # providers refuse others

Exchange = tuple[Message | None, list[ToolMessage]]


def room_for(model: ModelSpec, tools: Iterable[ToolSpec]) -> Room:
    """What a request to `model` has room for beside the definitions of `tools`. A quarter of what the model reads stays
    free: for its answer, and for what the estimates miss."""
    context = model.context_tokens or ASSUMED_CONTEXT_TOKENS
    defined = sum(map(_tool_tokens, islice(tools, MAX_TOOLS)))
    return Room(max(context * 3 // 4 - defined, 0), model.sees_images)


def trim(messages: Sequence[Message], room_tokens: int, *, is_complete: bool = True) -> list[Message]:
    """REMOVE the oldest exchanges until the rest fits into `room_tokens`, because a model reads only so much.

    The system prompt and the last message of a person always stay, even where they alone are too long. A reply with
    calls goes together with its results. What remains of a longer conversation (not `is_complete`: more of it was left
    out before) begins with a person's message: a reply to nothing confuses.
    """
    found = list(exchanges(messages))
    system = [exchange for exchange in found if isinstance(exchange[0], SystemMessage)]
    rest = [exchange for exchange in found if not isinstance(exchange[0], SystemMessage)]
    last = max((place for place, exchange in enumerate(rest) if isinstance(exchange[0], UserMessage)), default=None)
    if last is None:
        return flat(system + _newest(rest, room_tokens - _tokens(flat(system))))
    earlier, question, later = rest[:last], rest[last:last + 1], rest[last + 1:]
    room_tokens -= _tokens(flat(system + question))
    kept_later = _newest(later, room_tokens)
    kept_earlier = _newest(earlier, room_tokens - _tokens(flat(later)))
    if not is_complete or len(kept_earlier) < len(earlier):
        kept_earlier = _from_a_person_on(kept_earlier)
    return flat(system + kept_earlier + question + kept_later)


def fit(messages: Sequence[Message], steps: Sequence[Message], room: Room) -> tuple[list[Message], list[Notice]]:
    """The next request of a run that began with `messages` and has taken `steps` since; and what people should know.

    What tools return in a run can be too much: its oldest results are left out first, then the newest are cut. At least
    half of the room is the run's own, however much of it the conversation takes.
    """
    seen = _with_newest_images([*messages, *steps], room)
    messages, steps = seen[:len(messages)], seen[len(messages):]
    left = max(room.tokens - _tokens(messages), room.tokens // 2)
    fitted = _with_newest_results_cut(_without_oldest_results(steps, left), left)
    notices = [] if fitted == steps else [
        Notice("results_shortened", "The tools returned more than the model can read at once: it sees only a part.")
    ]
    return _with_images_shown([*messages, *fitted]), notices


def images_of(result: ToolResult) -> tuple[str, ...]:
    """The images that a call returned, as data URLs; only of the types that models see."""
    return tuple(
        f"data:{part.mime_type};base64,{part.data}"
        for part in result.parts if part.kind == "image" and part.mime_type in SEEN_TYPES and part.data
    )


# -- results


def _without_oldest_results(messages: Sequence[Message], room_tokens: int) -> list[Message]:
    """REPLACE the oldest results by a few words until the rest fits; those that the model has not read yet stay."""
    excess = _tokens(messages) - room_tokens
    shortened = list(messages)
    for place in range(len(messages) - _count_newest_results(messages)):
        message = messages[place]
        if excess > 0 and isinstance(message, ToolMessage):
            mark = ToolMessage(message.call_id, LEFT_OUT)
            saved = _message_tokens(message) - _message_tokens(mark)
            if saved > 0:
                shortened[place] = mark
                excess -= saved
    return shortened


def _with_newest_results_cut(messages: Sequence[Message], room_tokens: int) -> list[Message]:
    """CUT the results that the model has not read yet, the longest first, until they fit into what is left."""
    count = _count_newest_results(messages)
    if not count or _tokens(messages) <= room_tokens:
        return list(messages)
    earlier, newest = list(messages[:-count]), messages[-count:]
    share = _fair_share([_message_tokens(result) for result in newest], room_tokens - _tokens(earlier))
    return earlier + [_cut(result, share) for result in newest]


def _count_newest_results(messages: Sequence[Message]) -> int:
    count = 0
    while count < len(messages) and isinstance(messages[-1 - count], ToolMessage):
        count += 1
    return count


def _fair_share(sizes: Sequence[int], room_tokens: int) -> int:
    """The size to which all of `sizes` have to be cut so that their sum fits; what is smaller leaves room to others."""
    ordered = sorted(sizes)
    for place, size in enumerate(ordered):
        share = room_tokens // (len(ordered) - place)
        if size > share:
            return share
        room_tokens -= size
    return ordered[-1]


def _cut(result: ToolMessage, size_tokens: int) -> ToolMessage:
    text = result.text
    text_tokens = max(size_tokens - _message_tokens(result) + estimate(text), MIN_RESULT_TOKENS)
    if estimate(text) <= text_tokens:
        return result
    return replace(result, text=cut(text, text_tokens - estimate(CUT_OFF)) + CUT_OFF)


# -- images


def _with_newest_images(messages: Sequence[Message], room: Room) -> list[Message]:
    """REMOVE the images of results that are too many or too large for a request, the oldest first; all of them where
    the model sees none. They take up to half of the room, less what people want to have looked at."""
    given = [image for message in messages if isinstance(message, UserMessage) for image in message.images]
    count = min(MAX_IMAGES, room.tokens // 2 // IMAGE_TOKENS) - len(given) if room.sees_images else 0
    chars = MAX_IMAGES_CHARS - sum(map(len, given))
    kept: list[Message] = []
    for message in reversed(messages):
        if isinstance(message, ToolMessage) and message.images:
            images: list[str] = []
            for image in reversed(message.images):
                if count > 0 and len(image) <= chars:
                    images.insert(0, image)
                    count, chars = count - 1, chars - len(image)
            message = replace(message, images=tuple(images))
        kept.append(message)
    return kept[::-1]


def _with_images_shown(messages: Sequence[Message]) -> list[Message]:
    """ADD the images of results behind them, in a message as if a person had sent them: nowhere else do providers take
    images. Words of the assistant stand between, because several refuse a person's message right after a result."""
    shown: list[Message] = []
    for exchange in exchanges(messages):
        shown += flat([exchange])
        head, results = exchange
        names = {call.id: call.name for call in head.tool_calls} if isinstance(head, AssistantMessage) else {}
        images = [(names.get(result.call_id, "?"), image) for result in results for image in result.images]
        if images:
            text = f"[Images that tools returned, in this order: {', '.join(name for name, _image in images)}]"
            shown += [AssistantMessage(IMAGES_FOLLOW), UserMessage(text, tuple(image for _name, image in images))]
    return shown


# -- exchanges


def exchanges(messages: Iterable[Message]) -> Iterator[Exchange]:
    """Each message that is not a result, with the results right behind it; None where the first ones follow nothing."""
    head: Message | None = None
    results: list[ToolMessage] = []
    for message in messages:
        if isinstance(message, ToolMessage):
            results.append(message)
            continue
        if head is not None or results:
            yield head, results
        head, results = message, []
    if head is not None or results:
        yield head, results


def flat(found: Iterable[Exchange]) -> list[Message]:
    """The messages of these exchanges, in their order."""
    return [message for head, results in found for message in (head, *results) if message is not None]


def _newest(found: Sequence[Exchange], room_tokens: int) -> list[Exchange]:
    """As many of the last exchanges as fit."""
    kept: list[Exchange] = []
    for exchange in reversed(found):
        room_tokens -= _tokens(flat([exchange]))
        if room_tokens < 0:
            break
        kept.append(exchange)
    return kept[::-1]


def _from_a_person_on(found: Sequence[Exchange]) -> list[Exchange]:
    for place, (head, _results) in enumerate(found):
        if isinstance(head, UserMessage):
            return list(found[place:])
    return []


# -- estimates


def cut(text: str, tokens: int) -> str:
    """The beginning of `text`, as much of it as `tokens` allow."""
    if estimate(text) <= tokens:
        return text
    return text[:max(bisect_right(range(len(text)), tokens, key=lambda end: estimate(text[:end])) - 1, 0)]


def estimate(text: str) -> int:
    """About how many tokens `text` is."""
    ascii_chars = len(text) if text.isascii() else len(text.encode("ascii", "ignore"))
    return -(-ascii_chars // CHARS_PER_TOKEN) + len(text) - ascii_chars


def _tokens(messages: Iterable[Message]) -> int:
    return sum(map(_message_tokens, messages))


def _message_tokens(message: Message) -> int:
    tokens = MESSAGE_TOKENS + estimate(message.text)
    match message:
        case UserMessage() | ToolMessage():
            return tokens + IMAGE_TOKENS * len(message.images)
        case AssistantMessage():
            return tokens + sum(map(_call_tokens, message.tool_calls))
        case _:
            return tokens


def _call_tokens(call: ToolCall) -> int:
    return MESSAGE_TOKENS + estimate(call.name) + estimate(json.dumps(call.arguments, ensure_ascii=False))


def _tool_tokens(tool: ToolSpec) -> int:
    definition = json.dumps(tool.input_schema, ensure_ascii=False, default=str)
    return MESSAGE_TOKENS + estimate(tool.name) + estimate(tool.description) + estimate(definition)
