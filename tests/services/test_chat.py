"""The engine's public face, as other code uses it."""

import asyncio

import pytest

from services.chat import AIClient
from services.errors import ModelUnreachable
from services.events import Chunk, Failed, RunFinished, RunStarted, ToolCallFinished, ToolCallStarted
from services.messages import AssistantMessage, ToolCall, UserMessage
from services.states import RunState
from tests.fakes.memory import LocalTools, ScriptedModel, answer, calls

QUESTION = [{"role": "user", "content": "What is twice 21?"}]


async def double(number):
    return str(number * 2)


def two_rounds() -> ScriptedModel:
    return ScriptedModel(calls(ToolCall("c1", "double", {"number": 21})), answer("It is ", "42."))


def stream(client: AIClient, **more) -> list:
    async def collect():
        return [event async for event in client.chat_completion_stream_with_tools(QUESTION, **more)]

    return asyncio.run(collect())


def test_the_final_message_is_returned():
    final = asyncio.run(AIClient(two_rounds()).chat_completion_with_tools(QUESTION, LocalTools(double)))
    assert final == AssistantMessage("It is 42.")


def test_messages_may_be_openais_dicts_or_our_own():
    model = ScriptedModel(answer("Hi"))
    asyncio.run(AIClient(model).chat_completion_with_tools([*QUESTION, UserMessage("Well?")]))
    assert model.requests[0][0] == [UserMessage("What is twice 21?"), UserMessage("Well?")]


def test_the_stream_tells_the_conversation_from_its_start_to_its_end():
    kinds = [type(event) for event in stream(AIClient(two_rounds()), tools=LocalTools(double))]
    assert kinds[0] is RunStarted
    assert kinds[-1] is RunFinished
    assert [kind for kind in kinds if kind in (ToolCallStarted, ToolCallFinished, Chunk)] == [
        ToolCallStarted, ToolCallFinished, Chunk, Chunk,
    ]


def test_an_error_is_the_streams_second_last_event():
    *_, failed, finished = stream(AIClient(ScriptedModel([ModelUnreachable("Nobody there.")])))
    assert failed == Failed("model_unreachable", "Nobody there.")
    assert finished.state is RunState.ERROR


def test_an_error_without_a_stream_is_raised():
    with pytest.raises(ModelUnreachable):
        asyncio.run(AIClient(ScriptedModel([ModelUnreachable("Nobody there.")])).chat_completion_with_tools(QUESTION))


def test_a_tool_that_needs_an_approval_is_not_offered():
    model = ScriptedModel(answer("Then not."))
    asyncio.run(AIClient(model).chat_completion_with_tools(QUESTION, LocalTools(double, asks={"double"})))
    assert model.requests[0][1] == []


def test_closing_the_stream_ends_the_conversation():
    ended = asyncio.Event()

    class Endless(ScriptedModel):
        async def ask(self, messages, tools):
            try:
                yield Chunk("…")
                await asyncio.Event().wait()
            finally:
                ended.set()

    async def main():
        events = AIClient(Endless()).chat_completion_stream_with_tools(QUESTION)
        async for event in events:
            if isinstance(event, Chunk):
                break
        await events.aclose()
        await asyncio.wait_for(ended.wait(), 5)

    asyncio.run(main())


def test_a_message_that_is_none_is_named():
    with pytest.raises(ValueError, match="'robot'"):
        asyncio.run(AIClient(ScriptedModel()).chat_completion_with_tools([{"role": "robot", "content": "x"}]))
