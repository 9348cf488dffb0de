"""The model client against a scripted server over real sockets: what is sent, what is made of what comes back, and
what happens when it does not."""

import asyncio
import socket
from contextlib import aclosing

import pytest

from services import llm, llm_failures, llm_requests
from services.errors import (
    ModelEmpty,
    ModelRateLimited,
    ModelRefused,
    ModelRejectedKey,
    ModelTimeout,
    ModelUnreachable,
    NotConfigured,
    RunError,
)
from services.events import Chunk, Notice, Reasoning
from services.llm import Models, OpenAIModel, list_models
from services.messages import AssistantMessage, SystemMessage, ToolCall, ToolMessage, Turn, Usage, UserMessage
from services.specs import ModelSpec, ServerSpec, ToolSpec
from services.tools import Tool
from tests.fakes.model_server import (
    Drop,
    ModelServer,
    Reply,
    call_delta,
    calls,
    chunk,
    delta,
    end,
    error,
    frame_bytes,
    hold,
    raw,
    sse,
    status,
    text,
)

KEY = "t0ps3cret-0123456789"  # of a form that no provider uses: it is known, not guessed
QUESTION = (UserMessage("What time is it?"),)
SERVER = ServerSpec(1, "Clock", "streamable_http")
GET_TIME = Tool(
    "get_time", ToolSpec(1, SERVER, "get_time", description="Tell the time."), {"type": "object", "properties": {}}
)


@pytest.fixture
def server():
    with ModelServer() as server:
        yield server


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(llm_failures, "FIRST_DELAY_S", 0.0)


def spec_of(server, **changes):
    return ModelSpec(**{"base_url": server.base_url, "model": "m", "api_key": KEY, "timeout": 10.0, **changes})


async def listen(model, messages=QUESTION, tools=()):
    """All items of a reply, and the error that ended it (or None)."""
    items = []
    try:
        async for item in model.ask(messages, tools):
            items.append(item)  # noqa: PERF401 - what came before an error counts
    except RunError as problem:
        return items, problem
    return items, None


def ask(server, messages=QUESTION, tools=(), **changes):
    """One reply of a model of its own."""

    async def conversation():
        async with aclosing(OpenAIModel(spec_of(server, **changes))) as model:
            return await listen(model, messages, tools)

    return asyncio.run(conversation())


def turn_of(server, *args, **kwargs):
    items, problem = ask(server, *args, **kwargs)
    assert problem is None
    assert isinstance(items[-1], Turn)
    return items[-1]


def failure_of(server, *args, **kwargs):
    items, problem = ask(server, *args, **kwargs)
    assert not any(isinstance(item, Turn) for item in items)
    return problem


def with_models(conversation):
    """Run a coroutine function with the models of one host."""

    async def run():
        async with aclosing(Models()) as models:
            return await conversation(models)

    return asyncio.run(run())


# Asking


def test_text_is_streamed_and_the_turn_comes_last(server):
    server.script(text("Hello", ", world", usage=(7, 2)))
    items, problem = ask(server)
    assert problem is None
    assert items == [Chunk("Hello"), Chunk(", world"), Turn(AssistantMessage("Hello, world"), "stop", Usage(7, 2))]


def test_the_request_is_a_streaming_chat_completion(server):
    server.script(text("Hi"))
    ask(server, (SystemMessage("Be brief."), *QUESTION), temperature=0.2)
    [request] = server.requests
    assert request.path == "/v1/chat/completions"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.body == {
        "model": "m",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What time is it?"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.2,
    }


def test_q19_without_tools_the_request_has_no_such_key(server):
    server.script(text("Hi"))
    ask(server)
    assert "tools" not in server.requests[0].body
    assert "temperature" not in server.requests[0].body


def test_tools_are_offered_by_the_name_made_for_the_model(server):
    server.script(calls(("get_time", {"tz": "UTC"}, "a")))
    turn = turn_of(server, tools=(GET_TIME,))
    assert server.requests[0].body["tools"] == [{
        "type": "function",
        "function": {
            "name": "get_time", "description": "Tell the time.", "parameters": {"type": "object", "properties": {}},
        },
    }]
    assert turn.message.tool_calls == (ToolCall("a", "get_time", {"tz": "UTC"}, '{"tz": "UTC"}', "a"),)


def test_a_chunk_arrives_while_the_model_is_still_writing(server):
    gate = hold()
    server.script(text("Hel", gate, "lo"))

    async def conversation():
        async with aclosing(OpenAIModel(spec_of(server))) as model, aclosing(model.ask(QUESTION, ())) as reply:
            assert await anext(reply) == Chunk("Hel")
            gate.release()
            assert await anext(reply) == Chunk("lo")

    asyncio.run(conversation())


def test_q07_an_id_that_the_conversation_has_is_not_given_again(server):
    server.script(calls(("get_time", {}, "a")))
    earlier = (*QUESTION, AssistantMessage("", (ToolCall("a", "get_time"),)), ToolMessage("a", "noon"))
    [call] = turn_of(server, earlier, (GET_TIME,)).message.tool_calls
    assert (call.provider_id, call.id == "a") == ("a", False)


@pytest.mark.parametrize("slash", ["", "/"])
def test_the_base_url_may_end_with_a_slash(server, slash):
    server.script(text("Hi"))
    turn_of(server, base_url=server.base_url + slash)
    assert server.requests[0].path == "/v1/chat/completions"


def test_without_a_key_no_authorization_is_sent(server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-somebody-else")
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "sk-of-an-admin")
    server.script(text("Hi"))
    turn_of(server, api_key="")
    asyncio.run(list_models(spec_of(server, api_key="")))
    assert "authorization" not in server.requests[0].headers
    assert "authorization" not in server.other_requests[0].headers


def test_a_key_may_have_been_pasted_with_a_newline(server):
    server.script(text("Hi"))
    turn_of(server, api_key=f" {KEY}\n")
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


def test_the_environments_organisation_is_told_to_nobody(server, monkeypatch):
    monkeypatch.setenv("OPENAI_ORG_ID", "org-secret")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-secret")
    server.script(text("Hi"))
    turn_of(server)
    assert not any("secret" in value for value in server.requests[0].headers.values())


def test_replies_of_one_provider_share_a_connection_and_keys_do_not(server):
    server.respond_with(lambda request: text("Hi"))

    async def conversation(models):
        for _ in range(3):
            await listen(models.get(spec_of(server)))
        assert server.connections == 1
        await listen(models.get(spec_of(server, api_key="another")))
        assert server.connections == 2

    with_models(conversation)


def test_a_hundred_replies_at_once_do_not_wait_for_each_other(server):
    gates = [hold() for _ in range(100)]
    server.script(*(text("a", gate, "b") for gate in gates))

    async def conversation(models):
        replies = [asyncio.create_task(listen(models.get(spec_of(server)))) for _ in gates]
        await asyncio.to_thread(server.wait_for_request, len(gates))
        for gate in gates:
            gate.release()
        assert all(items[-1].message.text == "ab" for items, _problem in await asyncio.gather(*replies))

    with_models(conversation)


# What comes back


def test_q15_keep_alives_of_every_kind_are_skipped(server):
    server.script(sse(b": ping\n\n", b"data:\n\n", b"event: ping\n\n", chunk([]), chunk(None), *text("Hi").parts))
    assert turn_of(server).message.text == "Hi"


def test_q17_reasoning_is_streamed_as_such_and_not_sent_back(server):
    server.script(sse(delta(reasoning_content="Hm."), delta(content="Noon."), end(), "[DONE]"), text("Yes"))
    items, _problem = ask(server)
    assert items[:2] == [Reasoning("Hm."), Chunk("Noon.")]
    ask(server, (*QUESTION, items[-1].message))
    assert server.requests[1].body["messages"][-1] == {"role": "assistant", "content": "Noon."}


def test_q17_reasoning_is_sent_back_where_it_is_required_and_that_is_remembered(server):
    server.script(
        error(400, "Missing `reasoning_content` field in the assistant message at message index 1"),
        text("A"), text("B"),
    )
    thoughtful = AssistantMessage("", (ToolCall("a", "get_time"),), "I need the time.")
    history = (*QUESTION, thoughtful, ToolMessage("a", "noon"))

    async def conversation(models):
        model = models.get(spec_of(server))
        return await listen(model, history), await listen(model, history)

    (first, _), (second, _) = with_models(conversation)
    assert (first[-1].message.text, second[-1].message.text) == ("A", "B")
    sent = [request.body["messages"][1].get("reasoning_content") for request in server.requests]
    assert sent == [None, "I need the time.", "I need the time."]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_q27_text_is_exact_however_the_network_cuts_it(server, size):
    words = "Größe 😀 𝄞\u2028\u2029\x85 line\r\nline\n"
    server.script(text(*words, words).sliced(size))
    assert turn_of(server).message.text == words * 2


def test_q27_lines_may_end_like_windows_does(server):
    frames = b"".join(part for part in text("Hi", " there").parts if isinstance(part, bytes))
    server.script(Reply((frames.replace(b"\n", b"\r\n"),)).sliced(5))
    assert turn_of(server).message.text == "Hi there"


def test_q28_content_that_looks_like_frames_is_content(server):
    words = 'data: [DONE]\n\ndata: {"error": "no"}\n"quoted" </script> \0'
    server.script(text(words), calls(("get_time", {"tz": words}, "a")))
    assert turn_of(server).message.text == words
    [call] = turn_of(server, tools=(GET_TIME,)).message.tool_calls
    assert call.arguments == {"tz": words}


def test_events_of_another_content_type_are_read(server):
    server.script(Reply(text("Hi").parts, headers={"Content-Type": "text/plain"}), Reply(text("Ho").parts, headers={}))
    assert [turn_of(server).message.text for _ in range(2)] == ["Hi", "Ho"]


def test_a_server_that_does_not_stream_is_understood(server):
    choice = {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
    server.script(status(200, body=chunk([choice], usage={"prompt_tokens": 3, "completion_tokens": 1})))
    assert turn_of(server) == Turn(AssistantMessage("Hi"), "stop", Usage(3, 1))


def test_a_server_that_stays_after_the_end_is_not_waited_for(server):
    gate = hold()
    server.script(sse(delta(content="Hi"), end(), "[DONE]", gate))
    assert turn_of(server, timeout=30.0).message.text == "Hi"
    server.wait_for_disconnect()


def test_a_reply_without_a_reason_is_complete_when_the_server_says_done(server):
    server.script(sse(delta(content="Hi"), "[DONE]"))
    assert turn_of(server).message.text == "Hi"


def test_q12_calls_come_through_though_the_reason_is_stop(server):
    server.script(calls(("get_time", {}), finish="stop"))
    assert len(turn_of(server, tools=(GET_TIME,)).message.tool_calls) == 1


@pytest.mark.parametrize(("count", "notices"), [(llm.MAX_CALLS, []), (llm.MAX_CALLS + 1, ["too_many_calls"])])
def test_a_reply_has_a_limited_number_of_calls_and_people_are_told(server, count, notices):
    server.script(calls(*[("get_time", {"n": number}) for number in range(count)]))
    items, problem = ask(server, tools=(GET_TIME,))
    assert problem is None
    assert [call.arguments["n"] for call in items[-1].message.tool_calls] == list(range(llm.MAX_CALLS))
    told = [item for item in items if isinstance(item, Notice)]
    assert [notice.code for notice in told] == notices
    assert all(f" {count} calls" in notice.message for notice in told)


def test_calls_that_nobody_asked_for_are_not_told_to_be_too_many(server):
    wanted = calls(*[("get_time", {"n": number}) for number in range(llm.MAX_CALLS + 1)], content="Noon.")
    server.script(wanted)
    items, _problem = ask(server)
    assert [item for item in items if isinstance(item, Notice)] == []


def test_q13_a_call_that_is_cut_off_has_a_problem(server):
    server.script(sse(call_delta(0, id="a", name="get_time", arguments='{"tz": "U'), end("length"), "[DONE]"))
    [call] = turn_of(server, tools=(GET_TIME,)).message.tool_calls
    assert (call.arguments, "length limit" in call.problem) == ({}, True)


# Errors inside of a success


@pytest.mark.parametrize("body", [
    {"error": {"message": "The engine is on fire", "type": "server_error"}},
    {"error": "The engine is on fire"},
    {"object": "error", "message": "The engine is on fire", "code": None},
    {"error": {"message": "The engine is on fire"}, "choices": [{"delta": {"content": ""}, "finish_reason": "error"}]},
], ids=["object", "text", "flat", "with choices"])
def test_q14_an_error_in_a_success_fails_visibly_and_keeps_the_text(server, body):
    server.script(status(200, body=body), sse(delta(content="Half"), body, "[DONE]"))
    problem = failure_of(server)
    assert isinstance(problem, ModelRefused)
    assert "“The engine is on fire”" in problem.message
    items, problem = ask(server)
    assert items == [Chunk("Half")]
    assert (type(problem), len(server.requests)) == (ModelRefused, 2)


def test_q14_an_error_event_is_an_error(server):
    server.script(sse(delta(content="Half"), b'event: error\ndata: {"message": "The engine is on fire"}\n\n'))
    items, problem = ask(server)
    assert (items, "on fire" in problem.message) == ([Chunk("Half")], True)


def test_q14_an_error_after_the_last_word_is_still_an_error(server):
    server.script(sse(delta(content="All"), end(), {"error": {"message": "Filtered"}}))
    assert isinstance(failure_of(server), ModelRefused)


def test_q14_an_overload_inside_of_a_success_is_retried_like_one_outside(server):
    server.script(sse({"error": {"message": "Overloaded", "code": 503}}), text("Hi"))
    assert turn_of(server).message.text == "Hi"


@pytest.mark.parametrize("reply", [sse("[DONE]"), sse(), text()], ids=["only done", "nothing", "no content"])
def test_q16_an_empty_reply_is_asked_for_again_once_and_then_an_error(server, reply):
    server.respond_with(lambda request: reply)
    problem = failure_of(server)
    assert isinstance(problem, ModelEmpty)
    assert "“m”" in problem.message
    assert len(server.requests) == 2


@pytest.mark.parametrize("output", [delta(content=" \n"), delta(reasoning="Hm.")], ids=["blank", "only thoughts"])
def test_q16_an_empty_reply_of_which_something_was_seen_is_not_asked_for_again(server, output):
    server.script(sse(output, end(), "[DONE]"))
    assert isinstance(failure_of(server), ModelEmpty)
    assert len(server.requests) == 1


def test_q16_after_one_empty_reply_the_next_is_the_answer(server):
    server.script(text(), text("Hi"))
    assert turn_of(server).message.text == "Hi"
    assert len(server.requests) == 2


@pytest.mark.parametrize("frame", [b"data: {oops\n\n", b"data: [1]\n\n", b'data: {"choices": [7]}\n\n'])
def test_a_frame_that_is_no_chunk_ends_the_reply_with_an_error(server, frame):
    server.script(sse(delta(content="Half"), frame))
    items, problem = ask(server)
    assert (items, type(problem)) == ([Chunk("Half")], ModelRefused)


@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "text/event-stream"])
def test_a_web_page_is_no_answer(server, kind):
    server.script(Reply((b"\n", b"<html>Welcome", hold()), headers={"Content-Type": kind}))

    async def conversation(models):
        _items, problem = await listen(models.get(spec_of(server)))
        await asyncio.to_thread(server.wait_for_disconnect)
        return problem

    problem = with_models(conversation)
    assert isinstance(problem, ModelRefused)
    assert "web page" in problem.message
    assert "base URL" in problem.message


@pytest.mark.parametrize("frames", [
    lambda: sse(*[delta(content="on and ")] * 100, hold()), lambda: status(200, body={"choices": ["on and " * 1000]}),
], ids=["streamed", "in one piece"])
def test_a_reply_without_end_is_ended(server, monkeypatch, frames):
    monkeypatch.setattr(llm, "MAX_REPLY_BYTES", 5000)
    server.script(frames())
    _items, problem = ask(server)
    assert (type(problem), "does not stop answering" in problem.message) == (ModelRefused, True)


# Asking differently


def test_q18_usage_that_is_rejected_is_dropped_and_remembered_for_the_provider(server):
    refusal = {"detail": [{"loc": ["body", "stream_options"], "msg": "Extra inputs are not permitted"}]}
    server.script(status(422, body=refusal), text("A"), text("B"), text("C"))

    async def conversation(models):
        for model in ("m", "m", "another"):
            items, problem = await listen(models.get(spec_of(server, model=model)))
            assert problem is None
            assert not any(isinstance(item, Notice) for item in items)

    with_models(conversation)
    assert ["stream_options" in request.body for request in server.requests] == [True, False, False, False]


@pytest.mark.parametrize("refusal", [
    error(400, "m does not support tools"), error(400, "Bad request"), error(422, "tools: extra fields not permitted"),
    error(500, "tools param requires --jinja flag"), error(404, "No endpoints found that support tool use."),
    status(400),
], ids=["said", "unsaid", "422", "500", "404", "silent"])
def test_q49_rejected_tools_are_left_out_with_a_notice_and_that_is_remembered(server, refusal):
    server.script(refusal, text("A"), text("B"), text("C"))

    async def conversation(models):
        model, another = models.get(spec_of(server)), models.get(spec_of(server, model="another"))
        return [await listen(asked, tools=(GET_TIME,)) for asked in (model, model, another)]

    for (items, problem), is_told in zip(with_models(conversation), [True, True, False], strict=True):
        assert problem is None
        assert [item.code for item in items if isinstance(item, Notice)] == ["tools_unsupported"] * is_told
        assert isinstance(items[0], Notice) is is_told
    assert ["tools" in request.body for request in server.requests] == [True, False, False, True]


def test_q49_a_refusal_that_has_another_reason_is_an_error(server):
    policy, too_long = error(400, "Content policy"), error(400, "Too long", code="context_length_exceeded")
    server.script(policy, policy, too_long)
    problem = failure_of(server, tools=(GET_TIME,))
    assert (type(problem), len(server.requests)) == (ModelRefused, 2)
    problem = failure_of(server, tools=(GET_TIME,))
    assert ("“Too long”" in problem.message, len(server.requests)) == (True, 3)


def test_q49_one_bad_tool_is_not_remembered_against_the_model(server):
    server.script(error(400, "Invalid schema for function 'get_time'"), text("A"), text("B"))

    async def conversation(models):
        for _ in range(2):
            await listen(models.get(spec_of(server)), tools=(GET_TIME,))

    with_models(conversation)
    assert ["tools" in request.body for request in server.requests] == [True, False, True]


SEEN = (UserMessage("What is this?", ("data:image/png;base64,AA==",)),)


@pytest.mark.parametrize("refusal", [
    error(400, "unknown variant `image_url`, expected `text`"), error(500, "image input is not supported"),
    error(404, "No endpoints found that support image input"), status(422, body={"detail": "not a multimodal model"}),
], ids=["400", "500", "404", "422"])
def test_a_model_that_takes_no_images_answers_without_them_and_that_is_remembered(server, refusal):
    server.script(refusal, text("A"), text("B"), text("C"), text("D"))

    async def conversation(models):
        model, another = models.get(spec_of(server)), models.get(spec_of(server, model="another"))
        asked = [(model, SEEN), (model, SEEN), (model, QUESTION), (another, SEEN)]
        return [await listen(of, messages, tools=(GET_TIME,)) for of, messages in asked]

    results = with_models(conversation)
    for (items, problem), is_told in zip(results, [True, True, False, False], strict=True):
        assert problem is None
        assert [item.code for item in items if isinstance(item, Notice)] == ["images_unsupported"] * is_told
    first, second = (items[0].message for items, _problem in results[:2])
    assert second.endswith("so it answers without seeing them.")
    assert first.startswith(f"{second} The model provider at ")
    contents = [request.body["messages"][0]["content"] for request in server.requests]
    told = f"What is this?\n{llm_requests.NOT_SHOWN}"
    assert [isinstance(content, list) for content in contents] == [True, False, False, False, True]
    assert contents[1:4] == [told, told, QUESTION[0].text]
    assert all("tools" in request.body for request in server.requests)


def test_one_bad_image_is_not_remembered_against_the_model(server):
    server.script(error(400, "Could not process image"), text("A"), text("B"))

    async def conversation(models):
        for _ in range(2):
            assert (await listen(models.get(spec_of(server)), SEEN))[1] is None

    with_models(conversation)
    contents = [request.body["messages"][0]["content"] for request in server.requests]
    assert [isinstance(content, list) for content in contents] == [True, False, True]


def test_images_that_are_refused_after_all_cost_only_one_more_request(server):
    server.script(error(400, "No image input"), error(400, "No image input"))
    problem = failure_of(server, SEEN)
    assert (type(problem), len(server.requests)) == (ModelRefused, 2)


# Asking again


@pytest.mark.parametrize("trouble", [
    status(429, {"Retry-After": "0"}), status(503), status(500, body={"error": {"message": "Oops"}}), status(529),
    raw(b"HTTP/1.1 "), raw(), sse(delta(role="assistant", content=""), Drop()),
], ids=["429", "503", "500", "529", "half a status line", "no answer", "no output"])
def test_q24_trouble_before_any_output_is_retried(server, trouble):
    server.script(trouble, trouble, text("Hi"))
    assert turn_of(server).message.text == "Hi"
    assert len(server.requests) == 3


def test_q24_retries_are_bounded_and_the_last_error_is_told(server):
    server.respond_with(lambda request: error(429, "Slow down"))
    problem = failure_of(server)
    assert isinstance(problem, ModelRateLimited)
    assert "“Slow down”" in problem.message
    assert len(server.requests) == 1 + llm_failures.MAX_RETRIES


@pytest.mark.parametrize("final", [
    status(429, {"Retry-After": "3600"}), error(429, "You exceeded your quota", code="insufficient_quota"),
    error(401, "No"), error(403, "No"), error(400, "No"), error(404, "No"),
], ids=["long wait", "quota", "401", "403", "400", "404"])
def test_q24_what_does_not_pass_by_itself_is_not_retried(server, final):
    server.script(final)
    failure_of(server)
    assert len(server.requests) == 1


def test_q24_after_output_nothing_starts_again(server):
    server.script(text("Half", Drop()))
    items, problem = ask(server)
    assert (items, type(problem), len(server.requests)) == ([Chunk("Half")], ModelUnreachable, 1)


def test_q25_a_connection_that_drops_keeps_what_was_said(server):
    server.script(text("Half", " a", Drop()))
    items, problem = ask(server)
    assert items == [Chunk("Half"), Chunk(" a")]
    assert isinstance(problem, ModelUnreachable)
    assert "broke before the reply was complete" in problem.message


def test_q25_a_stream_that_just_ends_in_the_middle_is_no_answer(server):
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    server.script(raw(head, frame_bytes(delta(content="Half"))))
    items, problem = ask(server)
    assert (items, type(problem)) == ([Chunk("Half")], ModelUnreachable)


TAIL = frame_bytes(delta(content=" told")).rstrip(b"\n")


@pytest.mark.parametrize("end_of_line", [b"", b"\n", b"\r\n", b"\r"])
def test_the_last_frame_counts_without_its_blank_line(server, end_of_line):
    last = frame_bytes(chunk([{"index": 0, "delta": {"content": " told"}, "finish_reason": "stop"}])).rstrip(b"\n")
    server.script(sse(delta(content="All"), last + end_of_line))
    assert turn_of(server).message.text == "All told"


@pytest.mark.parametrize("tail", [TAIL, TAIL[:-1], TAIL[:9], b"data:"], ids=["whole", "torn", "begun", "empty"])
def test_q25_a_frame_that_is_torn_off_is_no_more_than_a_broken_connection(server, tail):
    server.script(sse(delta(content="Half"), tail))
    items, problem = ask(server)
    assert type(problem) is ModelUnreachable
    assert items == [Chunk("Half"), Chunk(" told")][:1 + (tail is TAIL)]


def test_q25_a_connection_that_drops_after_the_last_word_costs_nothing(server):
    server.script(sse(delta(content="All"), end(), Drop()))
    assert turn_of(server).message.text == "All"


def test_q26_a_stream_that_stalls_is_ended_and_its_connection_closed(server):
    server.script(text("Half", hold()))
    items, problem = ask(server, timeout=0.2)
    assert (items, type(problem)) == ([Chunk("Half")], ModelTimeout)
    assert "0.2 seconds" in problem.message
    server.wait_for_disconnect()


def test_q26_a_server_that_never_answers_is_asked_once(server):
    server.script(raw(hold()))
    assert isinstance(failure_of(server, timeout=0.2), ModelTimeout)
    server.wait_for_disconnect()
    assert len(server.requests) == 1


def test_q26_a_stall_after_the_last_word_costs_only_time(server):
    server.script(sse(delta(content="All"), end(), hold()))
    assert turn_of(server, timeout=0.2).message.text == "All"
    server.wait_for_disconnect()


@pytest.mark.parametrize("noise", [(), (b": still here\n\n",), (chunk([], usage={"prompt_tokens": 3}),)])
def test_q26_after_the_last_word_a_silent_server_has_a_moment_and_no_more(server, monkeypatch, noise):
    monkeypatch.setattr(llm, "LAST_WORDS_S", 0.1)
    server.script(sse(delta(content="All"), end(), *noise, hold()))
    assert turn_of(server, timeout=30.0).message.text == "All"  # 30 s are longer than anybody waits here
    server.wait_for_disconnect()


def test_usage_that_comes_a_moment_after_the_last_word_is_counted(server):
    gate = hold()
    server.script(sse(delta(content="All"), end(), gate, chunk([], usage={"prompt_tokens": 3, "completion_tokens": 1})))

    async def conversation(models):
        reply = asyncio.create_task(listen(models.get(spec_of(server))))
        await asyncio.to_thread(gate.wait_reached)
        gate.release()
        return await reply

    items, _problem = with_models(conversation)
    assert items[-1].usage == Usage(3, 1)


@pytest.mark.parametrize("make", [raw, text, lambda gate: text("Half", gate)], ids=["unanswered", "silent", "writing"])
def test_a_cancelled_reply_closes_its_connection_at_once(server, make):
    gate = hold()
    server.script(make(gate))

    async def conversation(models):
        task = asyncio.create_task(listen(models.get(spec_of(server))))
        await asyncio.to_thread(gate.wait_reached)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.to_thread(server.wait_for_disconnect)
        assert len(server.requests) == 1

    with_models(conversation)


def test_a_reply_that_nobody_wants_any_more_closes_its_connection(server):
    server.script(text("Half", hold()))

    async def conversation(models):
        async with aclosing(models.get(spec_of(server)).ask(QUESTION, ())) as reply:
            await anext(reply)
        await asyncio.to_thread(server.wait_for_disconnect)

    with_models(conversation)


# Errors that a person understands


@pytest.mark.parametrize(("code", "kind", "advice"), [
    (400, ModelRefused, "settings"), (401, ModelRejectedKey, "Check the API key"), (403, ModelRejectedKey, "API key"),
    (404, ModelRefused, "base URL"), (408, ModelTimeout, "Try again"), (418, ModelRefused, "settings"),
    (429, ModelRateLimited, "Try again later"), (500, ModelRefused, "Try again later"),
])
def test_an_error_names_the_host_and_the_next_step_and_no_secret(server, code, kind, advice):
    server.respond_with(lambda request: error(code, f"Incorrect key {KEY} or sk-abc123***xyz;\n Bearer {KEY}"))
    problem = failure_of(server)
    assert type(problem) is kind
    assert f"127.0.0.1:{server.port}" in problem.message
    assert advice in problem.message
    assert "It says: “Incorrect key ••• or •••; •••”" in problem.message
    assert KEY not in repr(problem)
    assert (problem.__cause__, problem.__suppress_context__) == (None, True)


def test_a_long_message_is_shortened_and_a_page_is_not_quoted(server):
    server.script(error(418, "No. " * 1000), status(418, body=b"<html>teapot</html>"), status(418, body=["odd"]))
    assert len(failure_of(server).message) < 500
    assert "teapot" not in failure_of(server).message
    assert isinstance(failure_of(server), ModelRefused)


def test_a_provider_that_is_not_there_is_named(server):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        problem = failure_of(server, base_url=f"http://127.0.0.1:{port}/v1")
    assert isinstance(problem, ModelUnreachable)
    assert f"127.0.0.1:{port} cannot be reached" in problem.message


@pytest.mark.parametrize("address", ["", "localhost:11434/v1", "ftp://example.test/v1", "http://[::1/v1", "http://"])
def test_a_base_url_that_is_none_is_a_matter_of_configuration(server, address):
    problem = failure_of(server, base_url=address)
    assert isinstance(problem, NotConfigured)
    assert "https://…/v1" in problem.message


@pytest.mark.parametrize("key", ["sk-\nevil: header", "schlüssel", "sk-\x00"])
def test_a_key_that_cannot_be_sent_is_refused_without_being_told(server, key):
    problem = failure_of(server, api_key=key)
    assert isinstance(problem, ModelRejectedKey)
    assert key not in problem.message
    assert server.requests == []


@pytest.mark.parametrize("code", [301, 302, 307, 308])
def test_a_redirect_is_shown_and_not_followed(server, code):
    with ModelServer() as elsewhere:
        target = elsewhere.base_url.replace("http://", "http://user:secret@")
        server.respond_with(lambda request: status(code, {"Location": f"{target}/chat/completions?token=secret"}))
        problem = failure_of(server)
        assert isinstance(problem, ModelRefused)
        assert f"redirects to {elsewhere.base_url}, which" in problem.message
        assert "secret" not in problem.message
        assert elsewhere.requests == elsewhere.other_requests == []


def test_a_redirect_to_nowhere_is_an_error_too(server):
    targets = [{}, {"Location": "http://[::1"}, {"Location": "/v2/chat/completions"}]
    server.script(*(status(307, headers) for headers in targets))
    assert [type(failure_of(server)) for _ in range(2)] == [ModelRefused, ModelRefused]
    assert f"{server.base_url[:-1]}2, which" in failure_of(server).message


# The list of models


def test_a_provider_that_has_no_list_of_models_is_not_asked_about_a_model(server):
    server.respond_to_others_with(lambda request: error(404, "Not found"))
    with pytest.raises(ModelRefused, match="nothing here"):
        asyncio.run(list_models(spec_of(server, model="")))


def test_the_models_of_a_provider_are_listed_in_order(server):
    server.models = ["zephyr", "ada"]
    assert asyncio.run(list_models(spec_of(server))) == ["ada", "zephyr"]
    assert server.other_requests[0].headers["authorization"] == f"Bearer {KEY}"


def test_a_bare_list_of_models_is_understood(server):
    server.respond_to_others_with(lambda request: status(200, body=[{"id": "b"}, {"id": "a"}, {}, None]))
    assert asyncio.run(list_models(spec_of(server))) == ["a", "b"]


@pytest.mark.parametrize(("reply", "kind"), [
    (error(401, f"Wrong key {KEY}"), ModelRejectedKey), (error(404, "Not found"), ModelRefused),
    (status(200, {"Content-Type": "text/html"}, b"<html>"), ModelRefused),
    (status(200, body={"error": "No"}), ModelRefused),
    (status(200, body={}), ModelRefused), (status(200, body=b"{"), ModelRefused), (status(503), ModelRefused),
    (raw(), ModelUnreachable), (raw(hold()), ModelTimeout),
], ids=["401", "404", "page", "error", "no list", "garbage", "503", "gone", "stalled"])
def test_a_provider_without_a_list_of_models_says_why(server, reply, kind):
    server.respond_to_others_with(lambda request: reply)
    with pytest.raises(kind) as caught:
        asyncio.run(list_models(spec_of(server, timeout=0.3)))
    assert f"127.0.0.1:{server.port}" in caught.value.message
    assert KEY not in caught.value.message
    assert len(server.other_requests) == 1
