"""What the engine costs: processor time for each chunk of a reply, over the bare `openai` SDK on the same server.

The server is in a process of its own, so only the client's time is counted. Chunks that come one by one show what a
chunk of a real model costs; chunks that come in heaps show what is left when the network costs nearly nothing.
"""

import asyncio
import time
from functools import partial

import openai

from bench import Table, peer
from bench.figures import COLUMNS, noted, ratio, take_turns_async
from services.chat import AIClient
from services.llm import Models, OpenAIModel
from services.messages import UserMessage
from services.specs import ModelSpec
from tests.live import LiveBase

ROUNDS = 9
SINGLY, IN_HEAPS = "400@0.001", "4000@0"
GOAL = 2.5


def measure(base: LiveBase) -> Table:
    with peer("bench.model", base.logs) as url:
        rows = asyncio.run(_rows(url))
    return Table("Engine: processor time for each chunk", COLUMNS, rows)


async def _rows(url: str) -> tuple[tuple[str, ...], ...]:
    rows = []
    async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as sdk:
        models = Models()
        for how, name in (("one by one", SINGLY), ("in heaps", IN_HEAPS)):
            chunks = int(name.partition("@")[0])
            engine = models.get(ModelSpec(base_url=url, model=name))
            cases = {
                "sdk": partial(_bare, sdk, name), "llm": partial(_llm, engine), "engine": partial(_engine, engine),
            }
            await take_turns_async(cases, 1)  # whatever is loaded or opened once
            taken = await take_turns_async(cases, ROUNDS, time.process_time)
            sdk_s, llm_s, engine_s = (taken[case] / chunks for case in cases)
            rows.append(ratio(f"`services.llm` over the SDK's stream, chunks {how}", llm_s, sdk_s, GOAL))
            rows.append(noted(f"the whole engine (loop and events), chunks {how}", engine_s, sdk_s))
        await models.aclose()
    return tuple(rows)


async def _bare(sdk: openai.AsyncOpenAI, name: str) -> None:
    messages = [{"role": "user", "content": "Go"}]
    async for chunk in await sdk.chat.completions.create(model=name, messages=messages, stream=True):
        _text = chunk.choices[0].delta.content


async def _llm(engine: OpenAIModel) -> None:
    async for _item in engine.ask([UserMessage("Go")], ()):
        pass


async def _engine(engine: OpenAIModel) -> None:
    async for _event in AIClient(engine).chat_completion_stream_with_tools([UserMessage("Go")]):
        pass
