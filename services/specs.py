"""What a run needs to know, loaded once in one short transaction: frozen values that outlive the cursor they came from.

Secrets are in here because the engine has to send them; they never show in a `repr`, and so in no log.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .events import Notice
from .messages import Message, ToolCall, ToolResult, Turn, Usage


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Which model answers, and how to reach it."""

    base_url: str
    model: str
    api_key: str = field(default="", repr=False)  # empty: the server wants none
    temperature: float | None = None  # None: the provider's own default
    timeout: float = 60.0  # seconds without a byte before a request is given up
    sees_images: bool = False  # images are sent to it; for others they are only described
    context_tokens: int = 0  # how much it reads at a time, its answer included; 0: nobody said
    guarded: bool = False  # the URL comes from a person who is not an administrator: see `url_guard`


@dataclass(frozen=True, slots=True)
class ServerSpec:
    """An MCP server and the identity with which it is called; equal specs share a session."""

    id: int
    name: str = field(compare=False)  # with whose server it is, where that is not the reader's own
    transport: str  # "streamable_http" | "sse" | "stdio"
    url: str = ""
    command: str = ""
    args: tuple[str, ...] = ()
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)  # all secrets, ready to send
    timeout: float = 30.0  # seconds for one call without a sign of progress
    max_timeout: float = 300.0  # seconds for one call in all, however much progress it reports
    user_id: int = 0  # whose own credentials `headers` are; 0: the server's, the same for everybody
    guarded: bool = False  # the URL comes from a person who is not an administrator: see `url_guard`


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as it was synchronised from its server, with what people decided about it."""

    id: int
    server: ServerSpec
    name: str
    title: str = ""
    description: str = ""
    input_schema: Mapping[str, Any] = field(default_factory=dict)
    timeout: float = 0.0  # seconds for one call without a sign of progress; 0: its server's
    approval: str = "auto"  # "auto" | "ask"; a tool that is "never" is not offered at all
    read_only: bool = False
    destructive: bool = False
    idempotent: bool = False
    definition: str = ""  # stands for all that its server says of it: another one is another tool


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a tool's result goes where."""

    result_chars: int = 30_000  # to the model; some 8,000 tokens, so that several results fit into any context
    kept_chars: int = 1_000_000  # of a longer text, kept as a file for people
    part_bytes: int = 6 * 1024 * 1024  # of one image, sound or file; a larger one is only described


@dataclass(frozen=True, slots=True)
class Room:
    """What fits into one request to the model."""

    tokens: int = 96_000  # estimated, of messages; see `context.room_for`
    sees_images: bool = False


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far an earlier attempt of the same run came: its steps, in order."""

    turns: tuple[Turn, ...] = ()
    results: Mapping[str, ToolResult] = field(default_factory=dict)  # by call id; calls without one are still open
    sent: frozenset[str] = frozenset()  # calls that had been sent when the attempt ended
    approved: frozenset[str] = frozenset()  # calls that a person allowed; one that was denied has a result
    streamed_round: int = 0  # the last round of which anything is in the journal; void if it has no turn
    announced: frozenset[str] = frozenset()  # calls whose `ToolCallStarted` is in the journal
    reported: frozenset[str] = frozenset()  # calls whose `ToolCallFinished` is in the journal

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        return tuple(call for turn in self.turns for call in turn.message.tool_calls)


@dataclass(frozen=True, slots=True)
class RunInputs:
    """Everything that one attempt starts from."""

    run_id: int
    attempt: int
    next_seq: int  # where this attempt's events go on in the journal, behind `RunStarted` of the one who requested it
    model: ModelSpec
    messages: Sequence[Message]
    tools: Sequence[ToolSpec] = ()
    max_rounds: int = 10
    deadline: float = 600.0  # seconds for the whole run
    seconds_worked: float = 0.0  # of these, what earlier attempts have used
    limits: Limits = Limits()
    room: Room = Room()
    notices: tuple[Notice, ...] = ()  # what loading them has to tell people (history was trimmed, …)
    checkpoint: Checkpoint = Checkpoint()
    spent: str = ""  # which budget the earlier attempts have used up


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended: what its reply says, and why it is not more where it isn't."""

    text: str
    rounds: int
    usage: Usage = Usage()
    waiting: tuple[str, ...] = ()  # ids of calls that need a decision; not empty: the run parks instead of ending
