"""What a reply costs where more and more comes together: the server's processor time for each, beside the smallest.

A reply is all of it: the post, the run, the answer in the channel. The database's and the model's time is not counted.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from bench import ROOT, Table, peer
from bench.figures import COLUMNS, noted, processor_seconds, ratio, take_turns
from bench.plot import Growth, svg
from tests.live import LiveBase, LiveServer

MESSAGES = (10, 1_000, 10_000)
TOOLS = (1, 100, 1_000)
ROUNDS, REPLIES = 5, 5  # the kernel counts in hundredths of a second: several replies make one figure
TOGETHER, ROUNDS_TOGETHER = (1, 10, 100), 3
GOALS = {"replies at a time": 1.25}
UNHURRIED = "20@0.25"  # the first still speaks when the hundredth has been asked
PATIENCE_S = 60.0
PLOT = ROOT / "docs/images/growth.svg"
PROSE = "Where the pens are is known, but not yet who took the last one of them, or when it will be back. " * 2
TEXT = {"type": "string", "description": "What is looked for, or a part of it."}
SCHEMA = {
    "type": "object",
    "properties": {"name": TEXT, "kind": TEXT, "place": TEXT, "words": {"type": "array", "items": TEXT}},
    "required": ["name"],
}


def measure(base: LiveBase) -> Table:
    with peer("bench.model", base.logs) as model, peer("bench.mcp", base.logs) as mcp, base.new_server() as live:
        provider = live.admin.create("ai.provider", name="Paced", base_url=model)
        taken = {
            "messages of history": _costs(live, {n: _long_conversation(live, provider, n) for n in MESSAGES}),
            "tools": _costs(live, {n: _conversation_with_tools(live, provider, mcp, n) for n in TOOLS}),
            "replies at a time": _costs_together(live, provider),
        }
    _draw(taken)
    rows = [row for of_what, costs in taken.items() for row in _compared(of_what, costs)]
    return Table("Growth: the server's processor time for a reply", COLUMNS, tuple(rows))


def _compared(of_what: str, costs: Mapping[int, float]) -> Iterator[tuple[str, ...]]:
    """A row for each size. Better than linear: the cost grows less than the size; beside others it does not grow."""
    (smallest, reference), *others = costs.items()
    yield noted(f"{smallest:,} {of_what}", reference)
    for size, cost in others:
        yield ratio(f"{size:,} {of_what}", cost, reference, GOALS.get(of_what, size / smallest))


def _draw(taken: Mapping[str, Mapping[int, float]]) -> None:
    panels = [
        Growth(of_what, [(size, seconds * 1000) for size, seconds in costs.items()]) for of_what, costs in taken.items()
    ]
    PLOT.write_text(svg(panels, "The server's processor time for a reply, as more and more comes together"))


def _costs(live: LiveServer, channels: Mapping[int, int]) -> dict[int, float]:
    return take_turns({size: partial(_cost, live, channel) for size, channel in channels.items()}, ROUNDS)


def _cost(live: LiveServer, channel: int) -> float:
    before = processor_seconds([live.pid])
    for _ in range(REPLIES):
        _ask(live, channel)
    return (processor_seconds([live.pid]) - before) / REPLIES


def _ask(live: LiveServer, channel: int) -> None:
    """Post a question, and wait for its answer."""
    _post(live, channel)
    open_runs = "SELECT count(*) FROM ai_run WHERE channel_id = %s AND finished_at IS NULL"
    live.eventually(lambda: live.sql(open_runs, channel) == [(0,)])


def _post(live: LiveServer, channel: int) -> None:
    """As Discuss does it."""
    post = {"body": "Go", "message_type": "comment", "subtype_xmlid": "mail.mt_comment"}
    live.admin.call("discuss.channel", "message_post", [channel], **post)


def _costs_together(live: LiveServer, provider: int) -> dict[int, float]:
    """What a reply costs where so many are given at the same time."""
    assistant = _assistant(live, provider, UNHURRIED)
    channels = [live.admin.call("ai.assistant", "open_chat", [assistant], new=True) for _ in range(max(TOGETHER))]
    cases = {count: partial(_cost_together, live, channels[:count]) for count in TOGETHER}
    return take_turns(cases, ROUNDS_TOGETHER)


def _cost_together(live: LiveServer, channels: Sequence[int]) -> float:
    before = processor_seconds([live.pid])
    for channel in channels:
        _post(live, channel)
    live.eventually(lambda: live.sql("SELECT count(*) FROM ai_run WHERE finished_at IS NULL") == [(0,)], PATIENCE_S)
    return (processor_seconds([live.pid]) - before) / len(channels)


# -- conversations


def _long_conversation(live: LiveServer, provider: int, messages: int) -> int:
    """A conversation with so many messages, questions and answers in turn, as they are once they have been answered."""
    assistant = _assistant(live, provider)
    channel = live.admin.call("ai.assistant", "open_chat", [assistant], new=True)
    live.sql(
        """
        WITH said AS (
            INSERT INTO mail_message (model, res_id, message_type, body, author_id, date, create_date)
            SELECT 'discuss.channel', %s, 'comment', '<p>' || %s || '</p>',
                   CASE WHEN number %% 2 = 0 THEN assistant.partner_id ELSE asker.partner_id END, now(), now()
              FROM generate_series(1, %s) number, ai_assistant assistant, res_users asker
             WHERE assistant.id = %s AND asker.id = %s
          ORDER BY number
         RETURNING id, author_id
        )
        INSERT INTO ai_run (channel_id, assistant_id, trigger_message_id, message_id, user_id, company_id, state,
                            attempt, finished_at, text, transcript)
        SELECT %s, assistant.id, said.id - 1, said.id, asker.id, asker.company_id, 'done', 1, now(), %s, %s
          FROM said
          JOIN ai_assistant assistant ON assistant.partner_id = said.author_id, res_users asker
         WHERE asker.id = %s
        """,
        channel, PROSE, messages, assistant, live.admin.user_id, channel, PROSE, _transcript(PROSE), live.admin.user_id,
    )  # fmt: skip
    live.sql("ANALYZE mail_message, ai_run")
    return channel


def _transcript(text: str) -> str:
    """One round, as a run remembers it."""
    usage = {"input_tokens": 0, "output_tokens": 0, "cached_tokens": 0}
    return json.dumps([{"text": text, "reasoning": "", "calls": [], "finish_reason": "stop", "usage": usage}])


def _conversation_with_tools(live: LiveServer, provider: int, url: str, tools: int) -> int:
    """A conversation with an assistant that has so many tools."""
    server = live.admin.create("mcp.server", name=f"Workshop {tools}", scope="shared", url=url)
    live.admin.call("mcp.server", "action_sync_tools", [server])  # which finds one
    live.sql(
        """
        INSERT INTO mcp_tool (server_id, name, description, input_schema, active, enabled, approval)
        SELECT %s, 'look_up_' || number, %s, %s, true, true, 'auto' FROM generate_series(2, %s) number
        """,
        server, PROSE, json.dumps(SCHEMA), tools,
    )  # fmt: skip
    assistant = _assistant(live, provider, mcp_server_ids=[[6, 0, [server]]])
    return live.admin.call("ai.assistant", "open_chat", [assistant], new=True)


def _assistant(live: LiveServer, provider: int, pace: str = "1@0", **values: Sequence[object]) -> int:
    return live.admin.create("ai.assistant", name="Paced", provider_id=provider, model=pace, **values)
