"""Many conversations with models and tools that fail at random, people who stop and decide at random, and a look at
everything that came of it. The seed decides what goes wrong; when it does, the machine.

    chaos = Chaos(live, seed=7)
    chaos.run(40, at_once=20)
    assert chaos.violations() == []
"""

import re
import secrets
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from random import Random
from typing import Any, Self

from httpx2 import Response

from services.history import replay
from services.llm_requests import request_body
from services.messages import ToolResult, UserMessage
from services.specs import Checkpoint, ModelSpec
from services.states import RUN_ENDS, TOOL_CALL_ENDS
from services.transcript import decode_turn
from tests.fakes.chaos_replies import FAULTS, Asked, answer, fault, good_calls
from tests.fakes.chaos_tools import UnreliableServer, lying_server
from tests.fakes.conversation import check
from tests.fakes.mcp_servers import McpStdioServer, stdio_server
from tests.fakes.model_server import ModelServer, Reply, Request
from tests.live import API_KEYS, LiveServer

PATIENCE_S = 1.5  # of providers and servers: silence is frequent here
HANG_S = 45.0  # without any run that ends
TICK_S = 0.05
MAX_ROUNDS = 6
TROUBLE = 0.02  # the odds that something is wrong with a request to a server of tools
FAULTY = 0.5  # … with a reply of the model
STOPPED = 0.2  # … that somebody stops a run
NUMBER = re.compile(r"#(\d+)\b")


class Chaos(AbstractContextManager):
    """What goes wrong on one live server, and how its runs take it."""

    def __init__(self, live: LiveServer, seed: int):
        self.fed: Counter[str] = Counter()  # how often each fault was
        self.took: dict[int, float] = {}  # seconds from the message to the run's end, by number
        self._live = live
        self._seed = seed
        self._random = Random(seed)
        self._mark = live.log.mark()
        self._http = live.anonymous()
        self._asked: Counter[int] = Counter()  # requests for each message
        self._invalid: list[str] = []  # what a strict provider would have refused
        self._posted: dict[int, float] = {}
        self._to_stop: dict[int, float] = {}  # when, by channel
        self._decided: set[tuple[int, str]] = set()

    def __enter__(self) -> Self:
        self._open = ExitStack()
        self._model = self._open.enter_context(ModelServer())
        self._model.respond_with(self._reply)
        self._servers = [
            self._open.enter_context(UnreliableServer(Random(f"{self._seed} modern"))),
            self._open.enter_context(UnreliableServer(Random(f"{self._seed} legacy"), era="legacy")),
            self._open.enter_context(UnreliableServer(Random(f"{self._seed} sse"), "sse")),
        ]
        self._liar = self._open.enter_context(lying_server(Random(f"{self._seed} liar")))
        self._command = self._open.enter_context(stdio_server())
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._open.close()

    def run(self, runs: int, at_once: int) -> None:
        """Have that many messages answered, in `at_once` conversations."""
        self._channels = dict.fromkeys(self._rooms(at_once), 0)  # with how many messages have been posted there
        for server in self._servers:
            server.odds = TROUBLE
        posted, ended, moved_at = 0, 0, time.monotonic()
        while ended < runs and time.monotonic() < moved_at + HANG_S:
            done = self._ended()
            if done.total() > ended:
                ended, moved_at = done.total(), time.monotonic()
            free = [channel for channel, asked in self._channels.items() if asked == done[channel]]
            if free and posted < runs:
                posted += 1
                self._post(self._random.choice(free), posted)
            else:
                time.sleep(TICK_S)
            self._behave()
        for server in self._servers:
            server.odds = 0.0

    def outcomes(self) -> Counter[str]:
        """How many runs ended how."""
        return Counter(run["error_code"] or run["state"] for run in self._runs())

    def calls(self) -> Counter[str]:
        """How many calls of tools ended how."""
        return Counter(dict(self._live.sql(
            "SELECT call.state, count(*) FROM ai_tool_call call JOIN ai_run run ON run.id = run_id"
            " WHERE channel_id = ANY(%s) GROUP BY call.state", list(self._channels),
        )))  # fmt: skip

    def violations(self) -> list[str]:
        """What must not be, in words; after `run`."""
        problems = [f"A request is invalid: {problem}" for problem in self._invalid]
        for run in self._runs():
            problems += [f"Run {run['id']} ({run['state']}): {problem}" for problem in self._wrong_with(run)]
        problems += [f"Called {times} times: {call}" for call, times in self._effects().items() if times > 1]
        problems += self._live.log.errors(self._mark)
        if missing := self._posted.keys() - self.took.keys():
            problems.append(f"These messages have no end: {sorted(missing)}")
        return problems

    # -- the model

    def _reply(self, request: Request) -> Reply:
        number = self._number(request.body["messages"])
        self._asked[number] += 1
        random = Random(f"{self._seed} {number} {self._asked[number]}")
        try:
            check(request.body)
        except AssertionError as problem:
            self._invalid.append(f"#{number}: {problem}\n{request.body}")
        tools = [tool["function"]["name"] for tool in request.body.get("tools", ())]
        return self._reply_to(Asked(random, f"#{number}/{self._asked[number]}", tools), number)

    def _reply_to(self, ask: Asked, number: int) -> Reply:
        habit = Random(f"{self._seed} {number}").random()
        if habit < 0.04 and ask.tools:
            return self._feed(21, ask, _same_call)
        if habit < 0.08 and ask.tools:
            return self._feed(22, ask, good_calls)
        if ask.random.random() < FAULTY:
            which = ask.random.choice(list(FAULTS))
            return self._feed(which, ask, lambda ask: fault(which, ask))
        if ask.tools and ask.random.random() < 0.6:
            return good_calls(ask)
        return answer(ask)

    def _feed(self, number: int, ask: Asked, reply: Any) -> Reply:
        self.fed[f"{number:02}"] += 1
        return reply(ask)

    @staticmethod
    def _number(messages: list[dict[str, Any]]) -> int:
        """The number of the message that a request is about."""
        said = (message["content"] for message in reversed(messages) if message["role"] == "user")
        return next(int(found[1]) for text in said if (found := NUMBER.match(text)))

    # -- the conversations

    def _rooms(self, count: int) -> Iterator[int]:
        """New conversations with assistants of their own, each with a few of the servers."""
        admin = self._live.admin
        servers = [*self._connected()]
        self._askers: dict[int, str] = {}  # the key of whoever asks in each conversation
        provider = admin.create("ai.provider", name="Chaos", base_url=self._model.base_url, timeout=PATIENCE_S)
        for number, key in enumerate(self._people(count)):
            some = self._random.sample(servers, 2)
            assistant = admin.create(
                "ai.assistant", name=f"Chaos {number}", provider_id=provider, model=f"chaos-{number}",
                max_rounds=MAX_ROUNDS, mcp_server_ids=[(6, 0, some)],
            )  # fmt: skip
            channel = self._call(key, "ai.assistant", "open_chat", assistant, new=True)
            self._askers[channel] = key
            yield channel

    def _people(self, count: int) -> list[str]:
        """The API keys of so many new people. Nobody logs in: to check a password takes a second of a processor."""
        group = [[6, 0, [self._live.ref("base.group_user")]]]
        values = [{"name": f"Asker {n}", "login": f"asker-{self._mark}-{n}", "group_ids": group} for n in range(count)]
        users = self._live.admin.call("res.users", "create", values, context={"no_reset_password": True})
        keys = [secrets.token_hex(20) for _ in users]
        for user, key in zip(users, keys, strict=True):
            self._live.sql(
                "INSERT INTO res_users_apikeys (name, user_id, scope, expiration_date, key, index)"
                " VALUES ('chaos', %s, 'rpc', now() + interval '1 day', %s, %s)", user, API_KEYS.hash(key), key[:8],
            )  # fmt: skip
        return keys

    def _call(self, key: str, model: str, method: str, record: int, **values: Any) -> Any:
        """`env[model].browse(record).method(**values)`, as whose key it is."""
        return self._post_as(key, f"/json/2/{model}/{method}", ids=[record], **values).json()

    def _post_as(self, key: str, path: str, **body: Any) -> Response:
        answer = self._http.post(path, headers={"Authorization": f"Bearer {key}"}, json=body)
        assert answer.status_code in (200, 409), answer.text
        return answer

    def _connected(self) -> Iterator[int]:
        admin = self._live.admin
        addresses = [{"transport": server.transport, "url": server.url} for server in self._servers]
        addresses.append({"transport": "streamable_http", "url": self._liar.url})
        if "ai_discuss_stdio" in self._live.options:
            command, args = McpStdioServer.command, "\n".join(self._command.args)
            addresses.append({"transport": "stdio", "command": command, "args": args})
        for number, address in enumerate(addresses):
            server = admin.create("mcp.server", name=f"chaos {number}", scope="shared", timeout=PATIENCE_S, **address)
            admin.call("mcp.server", "action_sync_tools", [server])
            if number == 1:
                asks = admin.call("mcp.tool", "search", [("server_id", "=", server), ("name", "=", "note")])
                admin.call("mcp.tool", "write", asks, {"approval": "ask"})
            yield server

    def _post(self, channel: int, number: int) -> None:
        self._channels[channel] += 1
        self._posted[number] = time.monotonic()
        if self._random.random() < STOPPED:
            self._to_stop[channel] = time.monotonic() + self._random.uniform(0, 1)
        self._call(
            self._askers[channel], "discuss.channel", "message_post", channel,
            body=f"#{number}, please.", message_type="comment", subtype_xmlid="mail.mt_comment",
        )  # fmt: skip

    def _behave(self) -> None:
        """What people and servers do by themselves."""
        for server in self._servers:
            if self._random.random() < 0.3:
                server.be_moody()
        for channel, due in list(self._to_stop.items()):
            if time.monotonic() > due:
                del self._to_stop[channel]
                running = "SELECT channel_id, id, '' FROM ai_run WHERE channel_id = %s AND finished_at IS NULL"
                self._control("stop", running, channel)
        waiting = (
            "SELECT channel_id, run_id, call_id FROM ai_tool_call call JOIN ai_run run ON run.id = run_id"
            " WHERE call.state = 'approval' AND channel_id = ANY(%s)"
        )
        self._control(self._random.choice(["approve", "deny"]), waiting, list(self._channels))

    def _control(self, verb: str, which: str, *params: Any) -> None:
        for channel, run_id, call_id in self._live.sql(which, *params):
            self._post_as(self._askers[channel], f"/api/ai/run/{run_id}/{verb}", id=call_id)

    def _ended(self) -> Counter[int]:
        """How many runs of each conversation have ended."""
        rows = self._live.sql(
            "SELECT run.channel_id, message.body FROM ai_run run JOIN mail_message message"
            " ON message.id = run.trigger_message_id WHERE run.channel_id = ANY(%s) AND finished_at IS NOT NULL",
            list(self._channels),
        )  # fmt: skip
        now = time.monotonic()
        for _channel, body in rows:
            number = int(NUMBER.search(body)[1])
            self.took.setdefault(number, now - self._posted[number])
        return Counter(channel for channel, _body in rows)

    # -- what came of it

    def _runs(self) -> list[dict[str, Any]]:
        fields = ("id", "state", "error_code", "text", "transcript")
        rows = self._live.sql(
            f"SELECT {', '.join(fields)} FROM ai_run WHERE channel_id = ANY(%s)", list(self._channels)
        )
        return [dict(zip(fields, row, strict=True)) for row in rows]

    def _wrong_with(self, run: dict[str, Any]) -> Iterator[str]:
        if run["state"] not in RUN_ENDS:
            yield "it has not ended"
            return
        frames = self._live.sql("SELECT seq, payload FROM ai_run_event WHERE run_id = %s ORDER BY seq", run["id"])
        yield from _wrong_with_frames([payload for _seq, payload in frames], run["text"] or "")
        if [seq for seq, _payload in frames] != list(range(1, len(frames) + 1)):
            yield "events are missing"
        calls = self._live.sql(
            "SELECT call_id, state, coalesce(response, '') FROM ai_tool_call WHERE run_id = %s", run["id"]
        )
        yield from _wrong_with_calls(calls, run["transcript"] or [])
        if self._live.sql(
            "SELECT FROM procrastinate_jobs WHERE args @> jsonb_build_object('run_id', %s::int)"
            " AND status IN ('todo', 'doing')", run["id"],
        ):  # fmt: skip
            yield "its job is still open"

    def _effects(self) -> Counter[Any]:
        """How often each call that acts has reached a server."""
        calls = [call for server in (*self._servers, self._command) for call in server.calls]
        return Counter(str(call) for call in calls if call[0] in ("note", "slow_note", "fail"))


def _same_call(ask: Asked) -> Reply:
    """Always the same, in other words."""
    return good_calls(Asked(Random(0), "again", [tool for tool in ask.tools if "note" not in tool] or ask.tools))


def _wrong_with_frames(frames: list[dict[str, Any]], text: str) -> Iterator[str]:
    kinds = [frame["type"] for frame in frames]
    if kinds.count("done") != 1 or kinds[-1] != "done" or kinds[0] != "run":
        yield f"its journal is {kinds}"
    called = [frame["id"] for frame in frames if frame["type"] == "tool_call"]
    returned = [frame["id"] for frame in frames if frame["type"] == "tool_result"]
    if sorted(called) != sorted(returned) or len(called) != len(set(called)):
        yield f"its viewers were told of the calls {called} and the results {returned}"
    told = "".join(frame["content"] for frame in frames if frame["type"] == "chunk")
    if told.strip() != text.strip():
        yield f"its viewers were told {told!r}, its reply is {text!r}"


def _wrong_with_calls(calls: list[tuple[str, str, str]], transcript: list[dict[str, Any]]) -> Iterator[str]:
    if unfinished := [call for call in calls if call[1] not in TOOL_CALL_ENDS]:
        yield f"these calls have no end: {unfinished}"
        return
    turns = tuple(map(decode_turn, transcript))
    results = {call_id: ToolResult(call_id, response, state) for call_id, state, response in calls}
    said = [call.id for turn in turns for call in turn.message.tool_calls]
    if sorted(said) != sorted(results):
        yield f"its turns have the calls {said}, its records {sorted(results)}"
    messages = replay([UserMessage("Go on.")], Checkpoint(turns, results))
    try:
        check(request_body(ModelSpec("", ""), messages, (), ()))
    except AssertionError as problem:
        yield f"its transcript is not valid: {problem} {messages}"

