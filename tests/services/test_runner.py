"""A run from its inputs to its end, with a real journal and a real SDK client against the scripted model server."""

import asyncio
from contextlib import asynccontextmanager

from services.errors import NotConfigured, Unavailable
from services.events import Chunk, Notice, RoundEnded
from services.journal import Journal
from services.llm import Models
from services.mcp_pool import McpPool
from services.messages import UserMessage
from services.runner import Runner
from services.specs import ModelSpec, RunInputs, ServerSpec, ToolSpec
from services.states import RunState
from tests.fakes.memory import MemoryStore
from tests.fakes.model_server import ModelServer, hold, status, text

RUN = 7


def inputs_for(server: ModelServer, **more) -> RunInputs:
    more.setdefault("next_seq", 2)
    return RunInputs(RUN, 1, model=ModelSpec(server.base_url, "scripted"), messages=[UserMessage("Hello?")], **more)


@asynccontextmanager
async def host(store: MemoryStore):
    journal, models, pool = Journal(store), Models(), McpPool()
    try:
        yield Runner(store, journal, models, pool)
    finally:
        await journal.aclose()
        await models.aclose()
        await pool.aclose()


def run_to_its_end(store: MemoryStore) -> list:
    async def main():
        async with host(store) as runner:
            await runner.run(RUN, 1)

    asyncio.run(main())
    return [row.event for row in store.rows]


def test_a_run_streams_into_the_journal_and_ends_with_its_text():
    with ModelServer() as server:
        server.script(text("Hello", " there"))
        store = MemoryStore(inputs_for(server))
        events = run_to_its_end(store)
    assert "".join(event.content for event in events if isinstance(event, Chunk)) == "Hello there"
    assert events[-1] == RoundEnded(1, "stop")
    [(_, state, outcome, error)] = store.ended
    assert (state, outcome.text, error) == (RunState.DONE, "Hello there", None)


def test_the_journal_goes_on_where_the_request_left_it():
    with ModelServer() as server:
        server.script(text("Hi"))
        store = MemoryStore(inputs_for(server, next_seq=2))
        run_to_its_end(store)
    assert [row.seq for row in store.rows] == list(range(2, 2 + len(store.rows)))


def test_a_provider_that_refuses_ends_the_run_with_an_error_for_people():
    with ModelServer() as server:
        server.script(status(401, {}, b'{"error": {"message": "bad key"}}'))
        store = MemoryStore(inputs_for(server))
        run_to_its_end(store)
    [(_, state, outcome, error)] = store.ended
    assert (state, error.code, outcome.text) == (RunState.ERROR, "model_auth", "")


def test_a_run_that_cannot_begin_ends_with_the_reason():
    store = MemoryStore(NotConfigured("The assistant has no model."))
    run_to_its_end(store)
    [(_, state, _, error)] = store.ended
    assert (state, error.message) == (RunState.ERROR, "The assistant has no model.")


def test_a_run_that_is_not_ours_is_left_alone():
    store = MemoryStore(None)
    assert run_to_its_end(store) == []
    assert (store.ended, store.handed_back) == ([], [])


def test_an_unreachable_mcp_server_costs_its_tools_and_a_notice():
    dead = ServerSpec(1, "Dead", "streamable_http", url="http://127.0.0.1:1/mcp")
    with ModelServer() as server:
        server.script(text("Without tools, then."))
        store = MemoryStore(inputs_for(server, tools=[ToolSpec(1, dead, "add")]))
        events = run_to_its_end(store)
        assert "tools" not in server.requests[0].body
    [notice] = [event for event in events if isinstance(event, Notice)]
    assert notice.code == "server_unreachable" and "Dead" in notice.message
    assert store.ended[0][1] is RunState.DONE


def interrupt(store: MemoryStore, server: ModelServer, how) -> None:
    """Start the run, and do `how(runner, task)` once its first chunk is in the journal."""

    async def main():
        async with host(store) as runner:
            task = asyncio.create_task(runner.run(RUN, 1))
            while not any(isinstance(row.event, Chunk) for row in store.rows):
                store.changed.clear()
                await store.changed.wait()
            how(runner, task)
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())
    server.wait_for_disconnect()


def test_a_stop_keeps_the_partial_text_and_closes_the_connection():
    with ModelServer() as server:
        server.script(text("Half an ans", hold(), "wer"))
        store = MemoryStore(inputs_for(server))
        interrupt(store, server, lambda runner, task: runner.stop(task))
    [(_, state, outcome, error)] = store.ended
    assert (state, outcome.text, error) == (RunState.CANCELLED, "Half an ans", None)
    assert store.handed_back == []


def test_a_shutdown_puts_the_run_back_into_the_queue():
    with ModelServer() as server:
        server.script(text("Half an ans", hold(), "wer"))
        store = MemoryStore(inputs_for(server))
        interrupt(store, server, lambda runner, task: task.cancel())
    assert (store.ended, store.handed_back) == ([], [RUN])


def test_an_attempt_that_is_fenced_leaves_its_model_at_once():
    """The model is silent: nothing else would tell for as long as it is."""
    with ModelServer() as server:
        server.script(text("Half an ans", hold(), "wer"))
        store = MemoryStore(inputs_for(server))
        store.taken_over.add(RUN)

        async def main():
            async with host(store) as runner:
                await asyncio.wait([asyncio.create_task(runner.run(RUN, 1))])

        asyncio.run(main())
        server.wait_for_disconnect()
    assert store.ended == []


def test_a_run_whose_memory_is_away_neither_ends_nor_stops_the_host():
    with ModelServer() as server:
        server.script(text("Nobody can keep this."))
        store = MemoryStore(inputs_for(server))
        store.steps(RUN, 1).problem = Unavailable("the database is away")
        run_to_its_end(store)
    assert (store.ended, store.handed_back) == ([], [])


def test_a_run_that_takes_too_long_is_ended():
    with ModelServer() as server:
        server.script(text("Half an ans", hold(), "wer"))
        store = MemoryStore(inputs_for(server, deadline=60, seconds_worked=59.8))
        run_to_its_end(store)
    [(_, state, _, error)] = store.ended
    assert (state, error.code) == (RunState.ERROR, "run_timeout")
    assert error.message == "The run took longer than 60 seconds and was ended."


def test_stopping_a_run_that_is_not_here_says_so():
    async def main():
        async with host(MemoryStore()) as runner:
            assert runner.stop(asyncio.current_task()) is False

    asyncio.run(main())
