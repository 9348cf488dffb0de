"""Thousands of short replies with calls of tools through one `ai_runner`: what they leave behind.

What the process holds is counted twice, both times when nothing runs: after a warm-up, and at the end.
"""

import time
from dataclasses import dataclass
from pathlib import Path

from bench import Table, crowd
from bench.figures import COLUMNS, counted, left, memory_kb
from dev import processes
from tests.fakes.mcp_servers import McpHttpServer
from tests.fakes.model_server import ModelServer, Reply, Request, calls, text
from tests.live import LiveBase, LiveServer, Person

RUNS, WARM_UP = 5_000, 200
AT_ONCE = 16  # conversations in which somebody waits for an answer
MESSAGES = 20  # in one of them; then another begins, so that what the model reads stays short
BUDGET_S = 1200.0  # then it is over, however many there were; two processors make some 7 a second
QUIET_S = 3.0  # for what follows the last answer
POLL_S = 0.02
OPEN = {
    "jobs that have not ended": "SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')",
    "workers of the queue": "SELECT count(*) FROM procrastinate_workers",
}
CONNECTIONS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
# How much more there may be at the end: what Python's allocator keeps of the busiest moment, and connections that were
# used at the same time and wait to be used again.
POOLS = ("open files", "sockets among them", "connections to the model", "connections to the MCP server")
MORE = {"memory, MB": 25, **dict.fromkeys(POOLS, AT_ONCE)}


def measure(base: LiveBase) -> Table:
    options = {"ai_discuss_runner": "external"}
    with (
        ModelServer() as model,
        McpHttpServer() as tools,
        base.new_server(options=options) as live,
        crowd.runner(live) as runner,
    ):
        soak = Soak(live, runner, model, tools)
        soak.run(WARM_UP, BUDGET_S)
        before = soak.holds()
        started = time.monotonic()
        soak.run(RUNS, BUDGET_S)
        rate = (soak.ended - WARM_UP) / (time.monotonic() - started)
        rows = [left(what, after, before[what], MORE.get(what, 0)) for what, after in soak.holds().items()]
        complete = counted("replies that are complete", soak.states().get("done", 0), RUNS)
    title = f"Soak: {rate:.1f} replies a second, two calls each; reference: what the runner holds after {WARM_UP}"
    return Table(title, COLUMNS, (complete, *rows))


@dataclass
class Soak:
    """People who ask again as soon as they are answered."""

    live: LiveServer
    runner: processes.Child
    model: ModelServer
    tools: McpHttpServer
    posted = 0
    ended = 0

    def __post_init__(self) -> None:
        self.model.respond_with(_call_then_answer)
        admin = self.live.admin
        provider = admin.create("ai.provider", name="Soak", base_url=self.model.base_url)
        server = admin.create("mcp.server", name="workshop", scope="shared", url=self.tools.url)
        admin.call("mcp.server", "action_sync_tools", [server])
        self._assistant = admin.create(
            "ai.assistant", name="Ada", provider_id=provider, model="scripted", mcp_server_ids=[(4, server)]
        )
        self._people = [self.live.person(f"asker {number}") for number in range(AT_ONCE)]
        self._posts: dict[int, int] = {}  # in each conversation
        self._askers: dict[int, Person] = {}  # of these, each busy with one at a time
        self._busy: set[int] = set()

    def run(self, until: int, seconds: float) -> None:
        """Have answers until there are that many, or the time is over."""
        deadline = time.monotonic() + seconds
        while self.ended < until:
            while len(self._busy) < AT_ONCE and self.posted < until and time.monotonic() < deadline:
                self._post()
            self._look()
            if not self._busy and time.monotonic() > deadline:
                break
        time.sleep(QUIET_S)

    def holds(self) -> dict[str, int]:
        """What there is, now that nothing runs."""
        pid = self.runner.process.pid
        descriptors = list(Path(f"/proc/{pid}/fd").iterdir())
        return {
            "memory, MB": memory_kb(pid) // 1024,
            "threads": len(list(Path(f"/proc/{pid}/task").iterdir())),
            "open files": len(descriptors),
            "sockets among them": sum(path.readlink().name.startswith("socket") for path in descriptors),
            "connections to the database": self.live.sql(CONNECTIONS, f"odoo-{pid}")[0][0],
            "connections to the model": self.model.open_connections,
            "connections to the MCP server": self.tools.open_connections,
            **{what: self.live.sql(query)[0][0] for what, query in OPEN.items()},
        }

    def states(self) -> dict[str, int]:
        return dict(self.live.sql("SELECT state, count(*) FROM ai_run GROUP BY state"))

    def _post(self) -> None:
        channel = next((one for one in self._posts if one not in self._busy), None)
        if channel is None:
            person = next(one for one in self._people if one not in self._askers.values())
            channel = person.call("ai.assistant", "open_chat", [self._assistant], new=True)
            self._posts[channel], self._askers[channel] = 0, person
        self._busy.add(channel)
        self._posts[channel] += 1
        self.posted += 1
        self._askers[channel].call("discuss.channel", "message_post", [channel], body="Go", message_type="comment")

    def _look(self) -> None:
        """See who has been answered."""
        time.sleep(POLL_S)
        self.model.requests.clear()  # some hundred megabytes, otherwise
        ended = self.live.sql(
            "SELECT channel_id, count(*) FROM ai_run WHERE channel_id = ANY(%s) AND finished_at IS NOT NULL"
            " GROUP BY channel_id", list(self._busy),
        )  # fmt: skip
        for channel, count in ended:
            if count == self._posts[channel]:
                self.ended += 1
                self._busy.remove(channel)
                if count == MESSAGES:
                    del self._posts[channel], self._askers[channel]


def _call_then_answer(request: Request) -> Reply:
    if request.body["messages"][-1]["role"] == "tool":
        return text("Done.")
    return calls(("echo", {"text": "ping"}), ("note", {"text": "pong"}))
