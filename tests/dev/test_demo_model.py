"""The demo's model: each of its examples played to the end against the demo's real tools, and its protocol, read by
OpenAI's own SDK."""

import asyncio
import json
import re
from dataclasses import dataclass, field

import pytest
from mcp.server.mcpserver.exceptions import ToolError
from openai import BadRequestError, OpenAI
from starlette.testclient import TestClient

from dev import demo_mcp, demo_model
from dev.demo_script import INTENTS
from tests.dev.peers import running

EXAMPLES = [intent.example for intent in INTENTS if intent.example]


@dataclass
class Conversation:
    """What was asked, the tools called in each round, and the answer."""

    rounds: list[list[str]] = field(default_factory=list)
    answer: str = ""


def converse(text, tools=None, prefix="", before=()):
    """Ask the model and feed it the results of the demo's tools until it answers."""
    return asyncio.run(_converse(text, tools, prefix, before))


async def _converse(text, allowed, prefix, before):
    server = demo_mcp.build()
    offered = [tool for tool in await server.list_tools() if allowed is None or tool.name in allowed]
    wire = [
        {"type": "function", "function": {"name": prefix + tool.name, "description": tool.description}}
        for tool in offered
    ]
    messages = [{"role": "system", "content": "You help."}, *before, {"role": "user", "content": text}]
    model = TestClient(demo_model.build(words_per_second=0))
    conversation = Conversation()
    while True:
        reply = model.post("/v1/chat/completions", json={"messages": messages, "tools": wire}).json()["choices"][0]
        message = reply["message"]
        if reply["finish_reason"] == "stop":
            conversation.answer = message["content"]
            return conversation
        called = {call["function"]["name"] for call in message["tool_calls"]}
        assert called <= {tool["function"]["name"] for tool in wire}
        messages.append(message)
        names = [call["function"]["name"].removeprefix(prefix) for call in message["tool_calls"]]
        conversation.rounds.append(names)
        for name, call in zip(names, message["tool_calls"], strict=True):
            result = await _result(server, name, json.loads(call["function"]["arguments"]))
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})


def answer_to(*messages, tools):
    """What the model says to these messages."""
    wire = [{"type": "function", "function": {"name": name, "description": ""}} for name in tools]
    model = TestClient(demo_model.build(words_per_second=0))
    reply = model.post("/v1/chat/completions", json={"messages": messages, "tools": wire}).json()
    return reply["choices"][0]["message"]["content"]


async def _result(server, name, arguments):
    if name == "sales_report":  # its progress needs a session
        return json.dumps({"year": arguments["year"], "quarters": {"Q1": 1, "Q2": 2}, "total": 3 * arguments["year"]})
    try:
        result = await server.call_tool(name, arguments)
    except ToolError as error:  # as a server would report it
        return str(error)
    return result.content[0].text


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_ends_in_an_answer(example):
    conversation = converse(example)
    assert conversation.answer
    assert "I don't know" not in conversation.answer
    assert "did not work" not in conversation.answer
    assert "lost" not in conversation.answer


@pytest.mark.parametrize(
    ("text", "rounds"),
    [
        ("What time is it in Tokyo and New York?", [["current_time", "current_time"]]),
        ("Which desks do we have under 250 €?", [["search_products"], ["get_stock"] * 2]),
        ("Quote 12 ergo chairs with 10 % discount", [["search_products"], ["get_stock", "calculate"]]),
        ("How many working days until 15 January in Belgium and Germany?", [["current_time"], ["working_days"] * 2]),
        ("Draw a chart of our sales in 2025 and 2026", [["sales_report"] * 2, ["draw_chart"]]),
        ("Working days between 2026-12-01 and 2026-12-31", [["current_time"], ["working_days"]]),
        ("public holidays in Italy in 2027", [["public_holidays"]]),
        ("Mitchell Admin: @Demo what's 12 x (3 + 4)?", [["calculate"]]),
        ("how many km are 26.2 miles", [["convert_units"]]),
        ("When can Brussels and Tokyo meet?", [["current_time", "current_time"]]),
        ("Remember to water the plants", [["create_note"]]),
        ("Delete note 1", [["delete_note"]]),
        ("Are you a real model?", []),
        ("hello", []),
        ("Write me a poem about the sea", []),
    ],
)
def test_requests_lead_to_the_right_calls_in_the_right_rounds(text, rounds):
    assert converse(text).rounds == rounds


@pytest.mark.parametrize("reason", ["Denied by Ann", "Nobody decided within 24 h, so it was not executed"])
def test_a_denied_call_is_no_failure_and_the_answer_says_that_nothing_was_changed(reason):
    question = {"role": "user", "content": "Delete note 1"}
    call = {"id": "c1", "type": "function", "function": {"name": "delete_note", "arguments": '{"number": 1}'}}
    denial = f"{reason}. Do not repeat the call; go on without it, or ask what to do."
    answer = answer_to(
        question,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": denial},
        tools=["delete_note"],
    )
    assert "nothing was changed" in answer and f"{reason}." in answer
    assert "did not work" not in answer and "Do not repeat" not in answer


def test_a_call_that_a_person_has_changed_is_answered_by_its_result():
    question = {"role": "user", "content": "What is 17% of 2,340?"}
    call = {"id": "c1", "type": "function", "function": {"name": "calculate", "arguments": "{}"}}
    note = '[Ann [boss] changed the arguments before approving. The call was made with: {"expression": "[1]"}]'
    result = {"role": "tool", "tool_call_id": "c1", "content": f'{note}\n\n{{"result": 397.8}}'}
    called = {"role": "assistant", "content": None, "tool_calls": [call]}
    assert "**397.8**" in answer_to(question, called, result, tools=["calculate"])


def test_answers_use_what_the_tools_returned():
    assert "**397.8**" in converse("What is 17% of 2,340?").answer
    assert "42.164813 km" in converse("Convert 26.2 miles to km").answer
    quote = converse("Quote 12 ergo chairs with 10 % discount").answer
    assert "3,553.20 €" in quote and "Only 8 are in stock" in quote
    assert "Christmas Day" in converse("Working days between 1 December 2026 and 15 January in Belgium").answer


def test_one_failing_call_costs_only_its_own_part():
    answer = converse("What time is it in Tokyo and Atlantis?").answer
    assert "| Tokyo |" in answer
    assert "Not Atlantis: Error executing tool current_time: Unknown time zone" in answer


def test_a_round_of_failures_is_told_in_the_tools_own_words():
    assert "> Error executing tool get_stock: No product has the SKU" in converse("stock of ABC-1?").answer


def test_a_tool_that_is_not_offered_is_never_called():
    conversation = converse("What time is it in Tokyo?", tools={"calculate"})
    assert conversation.rounds == []
    assert "`current_time`" in conversation.answer


def test_a_tool_is_found_behind_its_servers_prefix():
    assert converse("What time is it in Tokyo?", prefix="office_tools__").rounds == [["current_time"]]


def test_any_offered_tool_can_be_called_by_name():
    conversation = converse('Call tool draw_chart {"title": "T", "labels": ["a"], "values": [1]}')
    assert conversation.rounds == [["draw_chart"]]
    assert "1 bars" in conversation.answer


def test_it_says_what_it_is():
    assert "not a language model" in converse("Who are you?").answer
    assert "scripted stand-in" in converse("help").answer
    assert "not a language model" in converse("What is the meaning of life?").answer


def test_it_remembers_what_the_request_carries():
    before = [{"role": "user", "content": "I like tea"}, {"role": "assistant", "content": "Noted."}]
    assert "> I like tea" in converse("What did I just say?", before=before).answer


def test_help_lists_what_people_can_try():
    answer = converse("help").answer
    assert all(example in answer for example in EXAMPLES)


@pytest.fixture(scope="module")
def client():
    with running("dev.demo_model", "--words-per-second", "0") as url, OpenAI(base_url=url, api_key="none") as client:
        yield client


TIME_TOOL = [{"type": "function", "function": {"name": "current_time", "parameters": {"type": "object"}}}]


def ask(client, text, **more):
    return client.chat.completions.create(
        model="scripted-demo", messages=[{"role": "user", "content": text}], tools=TIME_TOOL, **more
    )


def test_its_models_can_be_listed(client):
    assert [model.id for model in client.models.list()] == ["scripted-demo"]


def test_the_streamed_text_is_the_text_that_does_not_stream(client):
    whole = ask(client, "Are you a real model?").choices[0].message.content
    chunks = list(ask(client, "Are you a real model?", stream=True))
    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks]
    assert "".join(pieces) == whole
    assert len(pieces) > 50
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_streamed_calls_come_in_fragments_that_join_to_valid_arguments(client):
    chunks = list(ask(client, "What time is it in Tokyo and New York?", stream=True))
    arguments, ids = {}, {}
    for chunk in chunks:
        for call in chunk.choices[0].delta.tool_calls or ():
            ids.setdefault(call.index, call.id)
            arguments[call.index] = arguments.get(call.index, "") + (call.function.arguments or "")
    assert [json.loads(text) for text in arguments.values()] == [{"time_zone": "Tokyo"}, {"time_zone": "New York"}]
    assert len(set(ids.values())) == 2
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


def test_usage_comes_with_the_reply_and_on_request_with_the_stream(client):
    assert ask(client, "hello").usage.total_tokens > 0
    *_, last = ask(client, "hello", stream=True, stream_options={"include_usage": True})
    assert last.choices == [] and last.usage.completion_tokens > 0
    assert all(chunk.usage is None for chunk in ask(client, "hello", stream=True))


def test_a_request_that_makes_no_sense_is_refused_in_openais_shape(client):
    with pytest.raises(BadRequestError, match="cannot be understood"):
        client.post("/chat/completions", body={"messages": "hello"}, cast_to=object)


def test_it_speaks_at_the_pace_it_was_told():
    words = len(re.findall(r"\S+", converse("Are you a real model?").answer))
    with TestClient(demo_model.build(words_per_second=1000)) as model:
        asked = [{"role": "user", "content": "Who are you?"}]
        reply = model.post("/v1/chat/completions", json={"messages": asked, "stream": True})
    assert reply.elapsed.total_seconds() >= words / 1000


def test_beside_a_record_it_says_what_it_was_told_of_it():
    told = "[The question is asked beside the record below: …]\nContact: Azure (res.partner, id 7)\n"
    told += "Fields:\n  Phone: 1 555-12\n"
    said = "Newest messages:\n  2026, Ann:\n    12 chairs"
    answer = converse(f"Summarize this record\n\n{told}{said}").answer
    assert "**Contact: Azure (res.partner, id 7)**" in answer
    assert "- Phone: 1 555-12\n" in answer


def test_what_is_attached_to_a_question_is_not_what_it_asks():
    assert converse("Are you a real model?\n[Attached file: a.csv]\n  12 chairs").rounds == []
