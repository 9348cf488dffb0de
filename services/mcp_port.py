"""What others see of an MCP server: its tools, or one sentence on why it cannot be reached.

Light on purpose: it may be imported wherever an MCP server is talked about, also where loading the SDK is too slow.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from .specs import ServerSpec

if TYPE_CHECKING:
    from .ports import ReportProgress
    from .tools import ToolOutput

CREDENTIALS_REJECTED = "The server rejected the credentials"  # how that problem begins; the server itself is well


class McpUnreachable(Exception):
    """An MCP server cannot be used. `message` is one sentence for people, without a secret."""

    def __init__(self, message: str):
        super().__init__(message)
        self.message = message


@dataclass(frozen=True, slots=True)
class McpTool:
    """A tool as its server describes it. Hints are the server's word, and nothing is taken for granted without it."""

    name: str
    title: str = ""
    description: str = ""
    input_schema: Mapping[str, Any] = field(default_factory=dict)
    read_only: bool = False
    destructive: bool = False
    idempotent: bool = False


class McpSessions(Protocol):
    """A way to MCP servers. Not a transport: sessions open, break and come back behind it."""

    async def connect(self, server: ServerSpec) -> None:
        """Have a session with `server`; where there is one, all this costs is to see that it still answers.

        Raises:
            McpUnreachable: there is none, and none can be had now.
        """
        ...

    async def call(
        self,
        server: ServerSpec,
        tool_name: str,
        arguments: Mapping[str, Any],
        report: "ReportProgress",
        *,
        seconds: float = 0.0,
        safe_to_repeat: bool = False,
    ) -> "ToolOutput":
        """Call a tool; whatever goes wrong is an output. It has `seconds` (0: its server's `timeout`), again after each
        sign of progress. A call that may have been executed is sent again only where it is `safe_to_repeat`."""
        ...


class McpWatch(Protocol):
    """Who wants to know how MCP servers are doing. Called in the loop of the sessions, never concurrently; must return
    at once. Not a policy: what is told changes nothing for the sessions."""

    def server_failed(self, server: ServerSpec, problem: str, failures: int, pause: float) -> None:
        """It could not be used `failures` times in a row; for `pause` seconds (0: not at all) nobody tries again."""
        ...

    def server_answered(self, server: ServerSpec) -> None:
        """It answers: for the first time, or again after failures."""
        ...

    def tools_changed(self, server: ServerSpec) -> None:
        """It says that its list of tools is another one now."""
        ...


class NoWatch:
    """Nobody wants to know."""

    def server_failed(self, server: ServerSpec, problem: str, failures: int, pause: float) -> None:
        pass

    def server_answered(self, server: ServerSpec) -> None:
        pass

    def tools_changed(self, server: ServerSpec) -> None:
        pass
