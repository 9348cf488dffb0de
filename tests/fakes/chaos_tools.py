"""MCP servers that fail at random, each in the ways of its transport (docs/faults.md, 29 to 39)."""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

from tests.fakes.mcp_servers import JsonServer, McpHttpServer, _answer, scripted

TEXT, HTML = {"content-type": "text/plain"}, {"content-type": "text/html"}
REFUSALS = (
    (404, TEXT, b"no such session"), (401, {"www-authenticate": "Bearer"}, b"who are you?"), (429, TEXT, b"slow down"),
    (500, TEXT, b"boom"), (502, HTML, b"<html>bad gateway</html>"), (503, TEXT, b"maintenance"),
    (200, HTML, b"<html>a login page</html>"), (200, {"content-type": "application/json"}, b"garbage"),
    (200, {"content-type": "text/event-stream"}, b""),
)  # fmt: skip


class UnreliableServer(McpHttpServer):
    """A good server, of whose answers some are refusals, come late, or are lost although the call was executed."""

    odds = 0.0  # that something goes wrong with a request

    def __init__(self, random: Random, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._random = random

    def be_moody(self) -> None:
        """Do something to everybody who is connected, or let some of the calls that are held go on."""
        match self._random.random():
            case chance if chance < 0.005:
                self.stop()
                self.start()
            case chance if chance < 0.02:
                self.drop_connections()
            case _:
                self.release(self._random.randint(0, 2))

    def _recording(self, app: Callable[..., Any]) -> Callable[..., Any]:
        recording = super()._recording(app)

        async def unreliable(scope: dict, receive: Callable, send: Callable) -> None:
            trouble = ""
            if scope["type"] == "http" and self._random.random() < self.odds:
                trouble = self._random.choice(("refuse", "delay", "lose"))
            if trouble == "delay":
                await asyncio.sleep(0.3)
            if trouble == "refuse":
                await _answer(send, *self._random.choice(REFUSALS))
            else:
                await recording(scope, receive, _lose if trouble == "lose" else send)

        return unreliable


async def _lose(message: dict) -> None:
    raise ConnectionResetError("The answer is lost.")


TOOL = {"inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": True}}
EXOTIC_TOOLS = [
    {"name": "note", **TOOL},  # as on other servers
    {"name": "größe! " + "x" * 90, **TOOL},
    {"name": "dated", "inputSchema": {"type": "object", "properties": {"day": {"type": "date"}}}},
    {"name": "referred", "inputSchema": {"$ref": "#/$defs/a", "$defs": {"a": {"type": "object"}}}},
    {"name": "either", "inputSchema": {"anyOf": [{"type": "object"}, {"type": "string"}]}},
    {"name": "typeless", "inputSchema": {"properties": {"n": {}}}},
    {"name": "meaningless", "inputSchema": {"type": "string"}},
    {**TOOL, "name": "typed", "outputSchema": {
        "type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"],
    }},
]


def lying_server(random: Random) -> JsonServer:
    """A server with exotic tools and a listing without an end, whose results are anything but what they should be."""

    def result(params: dict[str, Any]) -> dict[str, Any]:
        said = [{"type": "text", "text": "half \ud83d, NUL \0, </script>"}]
        return random.choice([
            {"content": said}, {"content": said, "isError": True}, {"content": said, "structuredContent": {"n": "?"}},
            {"content": [{"type": "image", "data": "no base64", "mimeType": "image/svg+xml"}]}, {"content": "none"}, {},
        ])

    answer = scripted(pages=[EXOTIC_TOOLS[:4], EXOTIC_TOOLS[4:]], cursors=["", "again", "again"], call=result)

    def respond(verb: str, headers: dict[str, str], body: dict[str, Any]) -> tuple[int, dict[str, str], Any]:
        if body.get("method") == "tools/call" and random.random() < 0.3:
            return random.choice(REFUSALS)
        return answer(verb, headers, body)

    return JsonServer(respond)
