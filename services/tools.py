"""A tool is a name, a schema, a policy and a way to call it; a toolset is the tools of one run.

Wrappers change one thing each and delegate the rest. What a tool does wrong is an output, not an exception.
"""

import asyncio
import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from .events import Notice
from .mcp_port import McpSessions, McpUnreachable
from .messages import ToolPart
from .specs import Limits, ServerSpec, ToolSpec
from .tool_schema import UnusableSchema, fit_names, fit_schema

if TYPE_CHECKING:
    from .ports import ReportProgress, Tools

MAX_TOOLS = 128  # what the largest providers take in one request
MAX_PARTS = 20  # of one result: more than anybody looks at
HEAD_SHARE = 2 / 3  # of a cut text: the beginning says what it is, and of the rest the end says most
MEGABYTE = 1024 * 1024
STRUCTURED_INLINE_CHARS = 20_000  # more is a file to download, not something to read


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool as it is offered to a model in one run."""

    name: str  # what the model sees: valid for the provider, unique in the run
    spec: ToolSpec  # what it really is
    schema: Mapping[str, Any] = field(default_factory=dict)  # its input schema, made fit for the provider


@dataclass(frozen=True, slots=True)
class ToolOutput:
    """What came out of a call."""

    text: str
    is_error: bool = False
    truncated: bool = False
    parts: tuple[ToolPart, ...] = ()


class NoTools:
    """The toolset of a conversation without tools."""

    offered: Mapping[str, Tool] = {}

    async def call(self, tool: Tool, arguments: Mapping[str, Any], report: "ReportProgress") -> ToolOutput:
        return ToolOutput(f"There is no tool named {tool.name!r}.", is_error=True)


NO_TOOLS = NoTools()


class PooledTools:
    """Tools that live on MCP servers."""

    def __init__(self, offered: Mapping[str, Tool], pool: McpSessions) -> None:
        self._offered = offered
        self._pool = pool

    @property
    def offered(self) -> Mapping[str, Tool]:
        return self._offered

    async def call(self, tool: Tool, arguments: Mapping[str, Any], report: "ReportProgress") -> ToolOutput:
        spec = tool.spec
        return await self._pool.call(
            spec.server,
            spec.name,
            arguments,
            report,
            seconds=spec.timeout,
            safe_to_repeat=spec.read_only or spec.idempotent,
        )


class WrappedTools:
    """Delegates everything; a wrapper overrides the one thing that it changes."""

    def __init__(self, wrapped: "Tools") -> None:
        self.wrapped = wrapped

    @property
    def offered(self) -> Mapping[str, Tool]:
        return self.wrapped.offered

    async def call(self, tool: Tool, arguments: Mapping[str, Any], report: "ReportProgress") -> ToolOutput:
        return await self.wrapped.call(tool, arguments, report)


class LimitedTools(WrappedTools):
    """Keeps what tools return small enough: for the model's context, and for what is stored for people."""

    def __init__(self, wrapped: "Tools", limits: Limits) -> None:
        super().__init__(wrapped)
        self._limits = limits

    async def call(self, tool: Tool, arguments: Mapping[str, Any], report: "ReportProgress") -> ToolOutput:
        return limit(await super().call(tool, arguments, report), self._limits)


def limit(output: ToolOutput, limits: Limits) -> ToolOutput:
    """`output` with a long text cut, with no part that is too large, and with a word on what became of its files."""
    parts = [_as_file_if_long(part) for part in output.parts]
    kept = [part for part in parts if _size(part) <= limits.part_bytes][:MAX_PARTS]
    is_long = len(output.text) > limits.result_chars
    if is_long:
        kept.append(_text_file(output.text, limits.kept_chars))
    text = _cut(output.text, limits.result_chars) if is_long else output.text
    note = _note(sum(map(_is_file, kept)), len(parts) + is_long - len(kept), limits)
    return replace(output, text=text + note, truncated=is_long, parts=tuple(kept))


def _cut(text: str, max_chars: int) -> str:
    """The head and the tail of `text`, and between them how much is missing."""
    head_chars = round(max_chars * HEAD_SHARE)
    tail_chars = max_chars - head_chars
    marker = f"\n\n[… {len(text) - max_chars} of {len(text)} characters left out …]\n\n"
    return text[:head_chars] + marker + text[-tail_chars:]


def _text_file(text: str, max_chars: int) -> ToolPart:
    """The text as a file for people; of an endless one the beginning, which then says that it is no more."""
    kept = text[:max_chars]
    if len(text) > max_chars:
        kept += f"\n\n[… the first {max_chars} of {len(text)} characters …]\n"
    return ToolPart("file", "text/plain", _base64(kept))


def _as_file_if_long(part: ToolPart) -> ToolPart:
    if part.kind == "structured" and len(part.data) > STRUCTURED_INLINE_CHARS:
        return replace(part, kind="file", data=_base64(part.data))
    return part


def _note(files: int, left_out: int, limits: Limits) -> str:
    """What the model should know of the parts: it may refer to what people see, and must not to what they don't."""
    notes = []
    if files:
        notes.append(f"[Files for the person, attached to your reply: {files}]")
    if left_out:
        megabytes = f"{limits.part_bytes / MEGABYTE:.3g} MB"
        notes.append(f"[Left out, because people get at most {MAX_PARTS} of up to {megabytes} each: {left_out}]")
    return "".join(f"\n{note}" for note in notes)


def _is_file(part: ToolPart) -> bool:
    return part.kind in ("image", "audio", "file")


def _size(part: ToolPart) -> int:
    """In bytes; structured data and links are small."""
    return len(part.data) * 3 // 4 if _is_file(part) else 0


def _base64(text: str) -> str:
    return base64.b64encode(text.encode(errors="replace")).decode()


async def open_tools(
    specs: Sequence[ToolSpec], pool: McpSessions, limits: Limits = Limits()
) -> tuple["Tools", list[Notice]]:
    """The tools of a run, as far as they can be used now, and notices on those that cannot.

    Names are given before anything is dropped: a tool is called the same whether or not other servers can be reached.
    """
    names = fit_names(specs)
    usable, notices = await _drop_unreachable(names, pool)
    offered: dict[str, Tool] = {}
    for name, spec in usable.items():
        if len(offered) == MAX_TOOLS:  # the schemas of the others are not even looked at
            text = f"Only the first {MAX_TOOLS} of the assistant's {len(usable)} tools are used."
            notices.append(Notice("too_many_tools", text))
            break
        try:
            offered[name] = Tool(name, spec, fit_schema(spec.input_schema))
        except UnusableSchema as error:
            notices.append(Notice("tool_unusable", f"The tool {spec.name} of {spec.server.name} is left out: {error}."))
    return LimitedTools(PooledTools(offered, pool), limits), notices


async def _drop_unreachable(
    names: Mapping[str, ToolSpec], pool: McpSessions
) -> tuple[dict[str, ToolSpec], list[Notice]]:
    servers = list(dict.fromkeys(spec.server for spec in names.values()))
    problems = dict(zip(servers, await asyncio.gather(*(_connect(server, pool) for server in servers)), strict=True))
    notices = [
        Notice("server_unreachable", f"The tools of {server.name} cannot be used now. {problem}")
        for server, problem in problems.items() if problem
    ]
    return {name: spec for name, spec in names.items() if not problems[spec.server]}, notices


async def _connect(server: ServerSpec, pool: McpSessions) -> str:
    """What keeps `server` from being used; empty if nothing."""
    try:
        await pool.connect(server)
    except McpUnreachable as error:
        return error.message
    return ""
