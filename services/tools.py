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
from .specs import ServerSpec, ToolSpec
from .tool_schema import UnusableSchema, fit_names, fit_schema

if TYPE_CHECKING:
    from .ports import ReportProgress, Tools

MAX_TOOLS = 128  # what the largest providers take in one request
RESULT_MAX_CHARS = 30_000  # some 8,000 tokens: several results fit into any model's context
RESULT_HEAD_CHARS = 20_000  # the beginning says what it is; of the rest, the end says most
FULL_RESULT_MAX_CHARS = 1_000_000  # a longer text is kept for people up to here


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
            spec.server, spec.name, arguments, report, safe_to_repeat=spec.read_only or spec.idempotent
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


class TruncatedTools(WrappedTools):
    """Gives the model a long text's head and tail; the text itself is kept as a file for people."""

    async def call(self, tool: Tool, arguments: Mapping[str, Any], report: "ReportProgress") -> ToolOutput:
        output = await super().call(tool, arguments, report)
        return truncate(output) if len(output.text) > RESULT_MAX_CHARS else output


def truncate(output: ToolOutput) -> ToolOutput:
    """`output` with its text cut in the middle, and a marker there that says how much is missing."""
    text = output.text
    head, tail = text[:RESULT_HEAD_CHARS], text[RESULT_HEAD_CHARS - RESULT_MAX_CHARS:]
    marker = f"\n\n[… {len(text) - RESULT_MAX_CHARS} of {len(text)} characters left out …]\n\n"
    kept = base64.b64encode(text[:FULL_RESULT_MAX_CHARS].encode(errors="replace")).decode()
    file = ToolPart("file", "text/plain", kept, name="result.txt")
    return replace(output, text=head + marker + tail, truncated=True, parts=(*output.parts, file))


async def open_tools(specs: Sequence[ToolSpec], pool: McpSessions) -> tuple["Tools", list[Notice]]:
    """The tools of a run, as far as they can be used now, and notices on those that cannot.

    Names are given before anything is dropped: a tool is called the same whether or not other servers can be reached.
    """
    names = fit_names(specs)
    usable, notices = await _drop_unreachable(names, pool)
    offered: dict[str, Tool] = {}
    for name, spec in usable.items():
        try:
            offered[name] = Tool(name, spec, fit_schema(spec.input_schema))
        except UnusableSchema as error:
            notices.append(Notice("tool_unusable", f"The tool {spec.name} of {spec.server.name} is left out: {error}."))
    if len(offered) > MAX_TOOLS:
        notices.append(Notice(
            "too_many_tools", f"Only the first {MAX_TOOLS} of the assistant's {len(offered)} tools are used."
        ))
        offered = dict(list(offered.items())[:MAX_TOOLS])
    return TruncatedTools(PooledTools(offered, pool)), notices


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
