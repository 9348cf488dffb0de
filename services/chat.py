"""The engine's public face: a conversation with tools, for other code, without a run, a journal or a database.

The same loop as every reply in Discuss. What is different: nothing is persisted, so nothing can be resumed, and a tool
that wants a person's approval is not offered, because nobody is there to ask.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Container, Mapping, Sequence
from contextlib import suppress
from typing import Any

from . import history
from .errors import RunError
from .events import Event, Failed, Progress, RunFinished, RunStarted
from .loop import Loop
from .messages import AssistantMessage, Message, ToolCall, ToolResult, Turn, from_wire
from .ports import CLEARED, Clearance, Model, ReportProgress, Tools
from .specs import Outcome
from .states import RunState
from .tools import NO_TOOLS, Tool, ToolOutput

STATELESS_RUN = 0  # the run id in the events of a conversation that has no run
DEFAULT_MAX_ROUNDS = 10


class AIClient:
    """A model and the loop around it. One client may serve any number of conversations at once."""

    def __init__(self, model: Model, *, max_rounds: int = DEFAULT_MAX_ROUNDS):
        self._model = model
        self._max_rounds = max_rounds

    async def chat_completion_with_tools(
        self, messages: Sequence[Message | Mapping[str, Any]], tools: Tools = NO_TOOLS
    ) -> AssistantMessage:
        """Answer `messages` (ours, or OpenAI's dicts) with the help of `tools`; return the final message.

        Raises:
            RunError: the model could not be had, or gave nothing.
            ValueError: a message is not one.
        """
        outcome = await self._converse(_messages(messages), tools, lambda event: None)
        return AssistantMessage(outcome.text)

    async def chat_completion_stream_with_tools(
        self, messages: Sequence[Message | Mapping[str, Any]], tools: Tools = NO_TOOLS
    ) -> AsyncIterator[Event]:
        """As `chat_completion_with_tools`, told as it happens: from `RunStarted` to `RunFinished`, which is always the
        last. An error is an event, not an exception. Closing the generator ends the conversation.

        Raises:
            ValueError: a message is not one.
        """
        events: asyncio.Queue[Event] = asyncio.Queue()
        conversation = asyncio.create_task(self._narrate(_messages(messages), tools, events.put_nowait))
        try:
            while True:
                event = await events.get()
                yield event
                if isinstance(event, RunFinished):
                    return
        finally:
            conversation.cancel()
            with suppress(asyncio.CancelledError):
                await conversation

    async def _narrate(self, messages: Sequence[Message], tools: Tools, emit: Callable[[Event], None]) -> None:
        """The conversation with its first and last events."""
        emit(RunStarted(STATELESS_RUN, RunState.RUNNING))
        state, outcome = RunState.ERROR, Outcome("", 0)
        try:
            outcome = await self._converse(messages, tools, emit)
            state = RunState.DONE
        except RunError as error:
            emit(Failed(error.code, error.message))
        finally:
            emit(RunFinished(STATELESS_RUN, None, state, outcome.rounds, outcome.usage))

    async def _converse(self, messages: Sequence[Message], tools: Tools, emit: Callable[[Event], None]) -> Outcome:
        loop = Loop(self._model, _NothingKept(), emit, max_rounds=self._max_rounds)
        return await loop.run(messages, _NobodyToAsk(tools))


class _NothingKept:
    """The steps of a conversation that lives in memory only."""

    async def turn_taken(
        self, round: int, turn: Turn, tools: Mapping[str, Tool], asking: Container[str]
    ) -> str:
        return ""

    async def call_sent(self, call: ToolCall) -> Clearance:
        return CLEARED

    async def call_progressed(self, call: ToolCall, progress: Progress) -> None:
        pass

    async def call_ended(self, call: ToolCall, result: ToolResult) -> ToolResult:
        return result


class _NobodyToAsk:
    """The given tools, without those that a person would have to approve."""

    def __init__(self, tools: Tools):
        self._tools = tools

    @property
    def offered(self) -> Mapping[str, Tool]:
        return {name: tool for name, tool in self._tools.offered.items() if tool.spec.approval == "auto"}

    async def call(self, tool: Tool, arguments: Mapping[str, Any], report: ReportProgress) -> ToolOutput:
        return await self._tools.call(tool, arguments, report)


def _messages(messages: Sequence[Message | Mapping[str, Any]]) -> list[Message]:
    return history.repair([from_wire(message) if isinstance(message, Mapping) else message for message in messages])
