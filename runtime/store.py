"""The engine's `RunStore` and `Steps` over Odoo's records: each method is one short transaction of `Database`.

What a transition does is the record's business (`models/ai_run.py`); this only fences, translates and commits.
"""

import asyncio
import logging
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from odoo.tools import split_every

from ..services import pdf_text, wire_v1
from ..services.errors import RunError, Unavailable
from ..services.events import Progress
from ..services.messages import Message, ToolCall, ToolResult, Turn
from ..services.ports import Clearance
from ..services.specs import Outcome, RunInputs
from ..services.states import RunState, ToolCallState
from ..services.tools import Tool
from ..services.transcript import encode_turn
from . import inputs
from .attached import FilesToRead
from .database import Database

SHOWN_AT_ONCE = 50  # runs in one transaction, which keeps their steps waiting meanwhile
LOAD_TRIES = 5  # the files that a run needs may be forgotten before it is loaded, where very many are read
SHOW_AFTER_S = 0.1  # long enough for a request to leave, too short for a person to miss anything

_logger = logging.getLogger(__name__)


class Store:
    """The runs of one database, as the engine sees them (`ports.RunStore`)."""

    def __init__(self, database: Database):
        self._database = database
        self._begun: set[int] = set()  # runs that people have not been shown yet
        self._showing: asyncio.Task | None = None

    async def begin(self, run_id: int, attempt: int) -> RunInputs | None:
        loaded = await self._load(run_id, attempt)
        if isinstance(loaded, RunError):
            raise loaded
        if loaded is not None:
            self._show_soon(run_id)
        return loaded

    async def _load(self, run_id: int, attempt: int) -> RunInputs | RunError | None:
        for _try in range(LOAD_TRIES):
            try:
                return await self._database.transact(partial(_begin, run_id=run_id, attempt=attempt))
            except FilesToRead as missing:  # and nothing was claimed: reading takes seconds, if somebody wants it to
                contents = missing.contents
            for content in contents:
                await pdf_text.read(content)
        raise Unavailable("Too many files are being read at the moment.")

    def steps(self, run_id: int, attempt: int) -> "Steps":
        return Steps(self._database, run_id, attempt)

    async def park(self, run_id: int, attempt: int, outcome: Outcome, messages: Sequence[Message]) -> None:
        def work(env):
            run = env["ai.run"].browse(run_id)
            run._hold(attempt)
            run._park(messages, outcome)

        await self._database.transact(work)

    async def finish(
        self, run_id: int, attempt: int, state: RunState, outcome: Outcome, error: RunError | None = None
    ) -> None:
        def work(env):
            run = env["ai.run"].browse(run_id)
            if run._lock() == (attempt, state):
                return  # committed before, though the connection broke before we heard of it
            run._hold(attempt)
            if outcome.rounds:
                run.rounds = outcome.rounds
            run._finish(state, outcome.text, error)

        await self._database.transact(work)

    async def hand_back(self, run_id: int, attempt: int) -> None:
        def work(env):
            run = env["ai.run"].browse(run_id)
            row = run._lock()
            if row and row[0] <= attempt and row[1] in (RunState.QUEUED, RunState.RUNNING):
                if row[1] == RunState.RUNNING:
                    run._count_work()
                run.attempt = attempt  # also where its beginning was cancelled before it was stored
                run._requeue()

        await self._database.transact(work)

    async def fail(self, run_id: int, attempt: int) -> None:
        """End a run that failed for no reason that people could do anything about; the log has it."""
        error = RunError("Something went wrong on our side. Try again; the server's log says more.")

        def work(env, end):
            run = env["ai.run"].browse(run_id)
            row = run._lock()
            if row and row[0] <= attempt and row[1] in (RunState.QUEUED, RunState.RUNNING):
                end(run)

        try:
            await self._database.transact(partial(work, end=lambda run: run._finish(RunState.ERROR, error=error)))
        except Exception:
            _logger.exception("Run %s: nobody can be told that it failed; it ends without a word", run_id)
            await self._database.transact(partial(work, end=lambda run: run._end(RunState.ERROR)))

    async def show_running(self, run_ids: Iterable[int]) -> None:
        """Show people that these runs are being executed. Clients forget it after a minute: repeat it."""
        for ids in split_every(SHOWN_AT_ONCE, sorted(run_ids)):
            await self._database.transact(partial(_show_running, run_ids=ids))

    def _show_soon(self, run_id: int) -> None:
        """Show that a run has begun, together with others, when its question is on the way to the model: nobody needs
        to see it earlier, and to tell it costs as much as to load the run."""
        self._begun.add(run_id)
        if len(self._begun) == 1:
            self._showing = asyncio.create_task(self._show_begun())

    async def _show_begun(self) -> None:
        await asyncio.sleep(SHOW_AFTER_S)
        begun, self._begun = self._begun, set()
        try:
            await self.show_running(begun)
        except Exception:
            _logger.warning("Runs have begun, but nobody could be told", exc_info=True)

    async def sweep(self) -> None:
        """Take over the runs whose host is gone, and end the wait for decisions that nobody has made in time."""
        while await self._database.transact(lambda env: env["ai.run"]._take_over_lost()):
            pass
        await self._database.transact(lambda env: env["ai.run"]._expire_approvals())


class Steps:
    """The memory of one attempt (`ports.Steps`). A step that is stored twice, because its commit was not heard of,
    changes nothing the second time."""

    def __init__(self, database: Database, run_id: int, attempt: int):
        self._database = database
        self._run_id = run_id
        self._attempt = attempt

    async def turn_taken(
        self, round: int, turn: Turn, tools: Mapping[str, Tool], asking: Container[str]
    ) -> str:
        def work(env):
            run = self._hold(env)
            transcript = run.transcript or []
            if len(transcript) >= round:
                return run._budget_spent()
            run.write({"transcript": [*transcript, encode_turn(turn)], "rounds": round})
            run._count(turn.usage)
            calls = env["ai.tool.call"].create([
                _call_values(run, round, call, tools.get(call.name), call.id in asking)
                for call in turn.message.tool_calls
            ])
            calls._broadcast()
            return run._budget_spent()

        return await self._database.transact(work)

    async def call_sent(self, call: ToolCall) -> Clearance:
        def work(env):
            record = self._call(env, call)
            clearance = record._clear()
            if clearance.is_given:
                record.write({
                    "state": ToolCallState.INVOKING.value,
                    "started_at": datetime.now(UTC).replace(tzinfo=None),
                })
                record._broadcast()
            return clearance

        return await self._database.transact(work)

    async def call_progressed(self, call: ToolCall, progress: Progress) -> None:
        await self._database.transact(lambda env: self._call(env, call)._note_progress(progress))

    async def call_ended(self, call: ToolCall, result: ToolResult) -> ToolResult:
        def work(env):
            record = self._call(env, call)
            record._end(result)
            record._broadcast()
            is_its_own = record.state == result.state
            if not is_its_own:
                return record._result()
            return replace(result, note=record._change_note(), args=record._changed_arguments())

        return await self._database.transact(work)

    def _hold(self, env):
        run = env["ai.run"].browse(self._run_id)
        run._hold(self._attempt)
        return run

    def _call(self, env, call: ToolCall):
        run = self._hold(env)
        # searched for, not taken from the run's calls: all that their tools have returned would be read
        return env["ai.tool.call"].search([("run_id", "=", run.id), ("call_id", "=", call.id)])


def _show_running(env, run_ids: Sequence[int]) -> None:
    env["ai.run"].browse(run_ids)._show_running()


def _begin(env, run_id: int, attempt: int) -> RunInputs | RunError | None:
    """Claim the run and load what it starts from. An error is returned, not raised: the claim has to be committed."""
    run = env["ai.run"].browse(run_id)
    if not run._begin(attempt):
        return None
    if inputs.is_pointless(run):
        run._finish(RunState.CANCELLED)
        return None
    try:
        loaded = inputs.load(run)
    except RunError as error:
        return error
    _tell_what_to_enter(run, loaded)
    return loaded


def _tell_what_to_enter(run, loaded: RunInputs) -> None:
    """Only the one who asked can enter the credentials that a server wants, and Discuss shows them no other notice."""
    for notice in loaded.notices:
        if run.channel_id and notice.code == inputs.CREDENTIALS_MISSING:
            run.user_id._bus_send_transient_message(run.channel_id, notice.message)


def _call_values(run, round: int, call: ToolCall, tool: Tool | None, asks: bool) -> dict:
    values = {
        "run_id": run.id,
        "call_id": call.id,
        "round": round,
        "tool_name": tool.spec.name if tool else call.name or "?",
        "arguments": dict(call.arguments),
        "raw_arguments": call.raw_arguments if call.problem else False,
        **(run.env["ai.tool.call"]._asking_values() if asks else {"state": ToolCallState.PENDING.value}),
    }
    if tool is not None:
        known = run.env["mcp.tool"].browse(tool.spec.id).exists()
        values |= {
            "tool_id": known.id,
            "server_id": known.server_id.id,
            "server_name": tool.spec.server.name,
            "tool_title": tool.spec.title,
            "definition_hash": tool.spec.definition,
        }
    return wire_v1.storable(values)


