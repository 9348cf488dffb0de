"""A question put to the scripted model server through the real SDK client and the loop, and what came of it."""

import asyncio
import json
import re
from contextlib import aclosing

from services.errors import RunError
from services.llm import Models
from services.loop import Loop
from services.messages import UserMessage
from services.specs import ModelSpec
from services.tools import NO_TOOLS
from tests.fakes.memory import LocalTools, MemorySteps

QUESTION = (UserMessage("What time is it?"),)


class Conversation:
    """An answered question: its `events`, its end, and which of the tools `get_time` and `get_rate` were `called`. All
    its requests have been held against what the strictest provider takes."""

    def __init__(self, server, *, timeout=10.0, max_rounds=10, messages=QUESTION, has_tools=True, answer=""):
        self.events, self.called, self.error = [], [], None
        self._server, self._first_request = server, len(server.requests)
        self._messages, self._max_rounds, self._answer = messages, max_rounds, answer
        self._spec = ModelSpec(server.base_url, "m", timeout=timeout)
        self._tools = LocalTools(self._tool("get_time"), self._tool("get_rate")) if has_tools else NO_TOOLS
        asyncio.run(self._converse())
        for body in self.requests:
            check(body)

    async def _converse(self):
        async with aclosing(Models()) as models:
            loop = Loop(models.get(self._spec), MemorySteps(), self.events.append, max_rounds=self._max_rounds)
            try:
                await loop.run(self._messages, self._tools)
            except RunError as problem:
                self.error = problem
            self.text, self.rounds = loop.outcome.text, loop.outcome.rounds

    def _tool(self, name):
        async def tool(**arguments):
            self.called.append((name, arguments))
            return self._answer or f"{name} says {len(self.called)}"

        tool.__name__ = name
        return tool

    @property
    def requests(self):
        return [request.body for request in self._server.requests[self._first_request:]]

    @property
    def results(self):
        """What the last request tells the model of its calls."""
        return [message["content"] for message in self.requests[-1]["messages"] if message["role"] == "tool"]

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]


def check(body):
    """Fail where a strict provider would refuse this request."""
    assert body.get("tools") != []
    assert "stream_options" not in body or body["stream"] is True
    ids, rest = [], list(body["messages"])
    while rest:
        message = rest.pop(0)
        assert message["role"] in ("system", "user", "assistant")  # a result stands behind its call, or nowhere
        wanted = message.get("tool_calls", ())
        assert message["content"] or (wanted and message["content"] is None)
        for call in wanted:
            assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", call["function"]["name"])
            assert isinstance(json.loads(call["function"]["arguments"], parse_constant=_refuse), dict)
        assert [result.get("tool_call_id") for result in rest[:len(wanted)]] == [call["id"] for call in wanted]
        del rest[:len(wanted)]
        ids += [call["id"] for call in wanted]
    assert len(ids) == len(set(ids)) and all(1 <= len(identity) <= 64 for identity in ids)


def _refuse(constant):
    raise AssertionError(f"{constant} is not JSON")
