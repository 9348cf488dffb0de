"""What many runs leave behind in a host, whether they end well or not: nothing."""

import asyncio
import gc
from collections import Counter
from contextlib import AsyncExitStack
from itertools import cycle

from services.journal import Journal
from services.llm import Models
from services.mcp_pool import McpPool
from services.messages import UserMessage
from services.runner import Runner
from services.specs import ModelSpec, RunInputs, ServerSpec, ToolSpec
from tests.fakes.mcp_servers import McpHttpServer, open_tasks
from tests.fakes.memory import MemoryStore
from tests.fakes.model_server import Drop, ModelServer, calls, delta, error, sse, text

AT_ONCE = 10
LAST = "One more"  # asked alone: a session keeps the contexts of its last messages, which are those of one call then


def test_runs_that_have_ended_leave_no_object_no_task_and_no_connection_behind():
    """Counted where nothing runs, once everything that is kept for the next run is there."""
    with ModelServer() as model, McpHttpServer() as tools:
        first = cycle([
            calls(("echo", {"text": "ping"}), ("note", {"text": "pong"})), calls(("fail", {"message": "no"})),
            sse(delta(content="Half"), Drop()), error(400, "No."), text("Done."),
        ])  # fmt: skip

        def reply(request):
            [question, *others] = request.body["messages"]
            if others:
                return text("Done.")
            return calls(("echo", {"text": "ping"})) if question["content"] == LAST else next(first)

        model.respond_with(reply)
        before, after = asyncio.run(_counted_twice(model, tools))
    assert {what: (before[what], count) for what, count in after.items() if count > before[what]} == {}


async def _counted_twice(model, tools):
    async with AsyncExitStack() as stack:
        log, pool, models = MemoryStore(), McpPool(), Models()
        journal = Journal(log)
        for opened in (models, pool, journal):
            stack.push_async_callback(opened.aclose)
        server = ServerSpec(1, "workshop", "streamable_http", url=tools.url)
        specs = tuple(ToolSpec(number, server, name) for number, name in enumerate(("echo", "note", "fail"), 1))

        async def run(number, question="Go"):
            inputs = RunInputs(number, 1, 2, ModelSpec(model.base_url, "m"), (UserMessage(question),), specs)
            await Runner(MemoryStore(inputs), journal, models, pool).run(number, 1)

        async def count_after(rounds):
            for _ in range(rounds):
                await asyncio.gather(*map(run, range(AT_ONCE)))
            await run(AT_ONCE, LAST)
            log.rows.clear()
            gc.collect()
            kinds = (type(thing) for thing in gc.get_objects())
            ours = Counter(kind.__name__ for kind in kinds if str(kind.__module__).startswith("services."))
            return ours + Counter(tasks=len(open_tasks()), connections=max(model.open_connections - AT_ONCE, 0))

        return await count_after(2), await count_after(10)
