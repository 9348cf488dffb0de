"""What an assistant costs those who write: posting in Discuss with one in the conversation, over posting without."""

import time
from collections.abc import Callable
from functools import partial

from bench import Table, peer
from bench.figures import COLUMNS, ratio, take_turns
from tests.live import LiveBase, LiveServer, Person

ROUNDS = 50
GOAL = 1.15
OPEN_JOBS = "SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')"


def measure(base: LiveBase) -> Table:
    rows: list[tuple[str, ...]] = []
    with peer("bench.model", base.logs) as url:
        with base.new_server(options={"ai_discuss_runner": "external"}) as live:
            taken = _posts(live, url, lambda: None)
            rows.append(ratio("a post that does not address the assistant", taken["silent"], taken["without"], GOAL))
            rows.append(ratio("a post that asks it, and no more", taken["asked"], taken["without"], GOAL))
        with base.new_server() as live:
            taken = _posts(live, url, partial(_wait_for_runs, live))
            what = "a post that asks it, while this process begins to answer"
            rows.append(ratio(what, taken["asked"], taken["without"], GOAL))
    return Table("Posting in Discuss, over a conversation without an assistant", COLUMNS, tuple(rows))


def _posts(live: LiveServer, url: str, rest: Callable[[], None]) -> dict[str, float]:
    """How long posts take in each kind of conversation; `rest` lets the server end what they have set off."""
    person = live.person("ann")
    channels = _channels(live, person, url)

    def post(name: str) -> float:
        started = time.perf_counter()
        _post(person, channels[name])
        taken = time.perf_counter() - started
        rest()
        return taken

    cases = {name: partial(post, name) for name in channels}
    take_turns(cases, 3)  # whatever is loaded once
    return take_turns(cases, ROUNDS)


def _channels(live: LiveServer, person: Person, url: str) -> dict[str, int]:
    """Conversations for two: with somebody who does not answer, and with an assistant that does not or does."""
    provider = live.admin.create("ai.provider", name="Paced", base_url=url)
    assistant = live.admin.create("ai.assistant", name="Ada", provider_id=provider, model="1@0")
    contact = live.admin.create("res.partner", name="Bob")
    members = [[0, 0, {"partner_id": partner}] for partner in (person.partner_id, contact)]
    without = person.create("discuss.channel", name="without", channel_type="group", channel_member_ids=members)
    silent, asked = (person.call("ai.assistant", "open_chat", [assistant], new=True) for _ in range(2))
    live.sql("UPDATE discuss_channel SET ai_reply_mode = 'mention' WHERE id = %s", silent)
    return {"without": without, "silent": silent, "asked": asked}


def _post(person: Person, channel: int) -> None:
    """As the page of Discuss does it."""
    post_data = {"body": "Go", "message_type": "comment", "subtype_xmlid": "mail.mt_comment"}
    params = {"thread_model": "discuss.channel", "thread_id": channel, "post_data": post_data}
    answer = person.http.post("/mail/message/post", json={"jsonrpc": "2.0", "method": "call", "params": params})
    assert answer.json()["result"]["message_id"]


def _wait_for_runs(live: LiveServer) -> None:
    live.eventually(lambda: live.sql(OPEN_JOBS) == [(0,)])
