"""What fits into one request to a model: estimated tokens, the order in which things are left out, images."""

import asyncio

import pytest

from services import context
from services.context import (
    LEFT_OUT,
    MAX_IMAGES,
    MIN_RESULT_TOKENS,
    estimate,
    fit,
    images_of,
    room_for,
    trim,
)
from services.events import Notice
from services.history import repair
from services.loop import Loop
from services.messages import (
    AssistantMessage,
    SystemMessage,
    ToolCall,
    ToolMessage,
    ToolPart,
    ToolResult,
    UserMessage,
    to_wire,
)
from services.specs import ModelSpec, Room, ServerSpec, ToolSpec
from services.states import ToolCallState
from tests.fakes.memory import LocalTools, MemorySteps, ScriptedModel, answer, calls

PNG = "iVBORw0KGgoAAAA"
QUESTION = UserMessage("?")


def asks_for(*ids: str) -> AssistantMessage:
    return AssistantMessage("", tuple(ToolCall(call_id, "get_time", {"tz": "UTC"}) for call_id in ids))


def picture(number: int, size: int = 0) -> str:
    return f"data:image/png;base64,{PNG}{number}" + "A" * size


def tokens(messages) -> int:
    return sum(map(context._message_tokens, messages))


# -- estimates


@pytest.mark.parametrize(("text", "expected"), [
    ("", 0), ("word", 1), ("words", 2), ("x" * 4_000, 1_000),
    ("時間", 2), ("Zürich", 3), ("🌍", 1), ("\ud83d", 1), ("наука", 5),
])
def test_four_characters_of_ascii_are_a_token_and_any_other_character_is_one(text, expected):
    assert estimate(text) == expected


def test_the_room_is_what_the_model_reads_without_a_quarter_and_the_tools_definitions():
    tool = ToolSpec(1, ServerSpec(1, "Clock", "sse"), "time", description="d" * 400, input_schema={"type": "object"})
    plain = room_for(ModelSpec("", "small", context_tokens=8_000, sees_images=True), [])
    assert plain == Room(6_000, sees_images=True)
    assert room_for(ModelSpec("", "small", context_tokens=8_000), [tool, tool]).tokens == 6_000 - 2 * (5 + 1 + 100 + 5)


def test_a_model_that_nobody_has_described_is_taken_for_one_of_today():
    assert room_for(ModelSpec("", "unknown"), []) == Room(96_000, sees_images=False)


def test_tools_beyond_those_that_are_offered_take_no_room():
    tools = [ToolSpec(number, ServerSpec(1, "Many", "sse"), f"tool_{number}") for number in range(300)]
    assert room_for(ModelSpec("", "small"), tools) == room_for(ModelSpec("", "small"), tools[:128])


def test_more_tools_than_the_model_can_read_leave_no_room_at_all():
    tool = ToolSpec(1, ServerSpec(1, "Wordy", "sse"), "talk", description="d" * 40_000)
    assert room_for(ModelSpec("", "tiny", context_tokens=4_096), [tool]).tokens == 0


# -- the conversation


def test_what_is_only_the_end_of_a_conversation_begins_with_a_person():
    messages = [SystemMessage("Be brief."), AssistantMessage("… or so."), UserMessage("Why?"), AssistantMessage("So.")]
    assert trim([*messages, QUESTION], 1_000) == [*messages, QUESTION]
    assert trim([*messages, QUESTION], 1_000, is_complete=False) == [messages[0], *messages[2:], QUESTION]


def test_calls_and_their_results_are_kept_or_dropped_together():
    messages = [
        UserMessage("x" * 100),
        asks_for("a", "b"), ToolMessage("a", "1"), ToolMessage("b", "2"), AssistantMessage("Done."),
        UserMessage("Thanks"),
    ]
    seen = []
    for room_tokens in range(200):
        kept = trim(messages, room_tokens)
        assert repair(kept) == kept
        assert kept in ([messages[-1]], messages)
        seen.append(len(kept))
    assert set(seen) == {1, len(messages)}


def test_the_system_prompt_and_the_question_stay_even_where_they_are_too_long():
    messages = [SystemMessage("x" * 1000), UserMessage("old"), AssistantMessage("old"), UserMessage("y" * 1000)]
    assert trim(messages, 10) == [messages[0], messages[-1]]


def test_what_was_said_since_the_question_comes_before_what_was_said_earlier():
    earlier = [UserMessage("x" * 20), AssistantMessage("x" * 20)]  # ten tokens each, as all others
    question, later = UserMessage("y" * 20), [AssistantMessage("z" * 20), AssistantMessage("z" * 20)]
    messages = [*earlier, question, *later]
    expected = {20: [question, later[1]], 30: messages[2:], 49: messages[2:], 50: messages}
    assert {room: trim(messages, room) for room in expected} == expected


def test_a_conversation_in_which_no_person_has_spoken_is_trimmed_as_well():
    messages = [SystemMessage("x" * 20), AssistantMessage("y" * 20), AssistantMessage("z" * 20)]
    expected = {19: messages[:1], 20: [messages[0], messages[2]], 29: [messages[0], messages[2]], 30: messages}
    assert {room: trim(messages, room) for room in expected} == expected


def test_an_image_counts_for_what_a_model_reads_of_it_and_not_for_its_bytes():
    look = UserMessage("Look", ("data:image/png;base64," + "A" * 100_000,))
    assert trim([look, UserMessage("And?")], 1_100) == [look, UserMessage("And?")]
    assert trim([look, UserMessage("And?")], 900) == [UserMessage("And?")]


# -- what a run's tools return


def test_what_fits_stays_as_it_is_and_nobody_is_told():
    steps = [asks_for("a"), ToolMessage("a", "noon")]
    assert fit([QUESTION], steps, Room(1_000)) == ([QUESTION, *steps], [])


def test_the_oldest_results_of_a_run_are_left_out_first_and_people_are_told():
    steps = [
        message for name in "abcd" for message in (asks_for(name), ToolMessage(name, name * 400))
    ]
    request, notices = fit([QUESTION], steps, Room(400))
    assert request == [
        QUESTION,
        asks_for("a"), ToolMessage("a", LEFT_OUT), asks_for("b"), ToolMessage("b", LEFT_OUT),
        asks_for("c"), ToolMessage("c", "c" * 400), asks_for("d"), ToolMessage("d", "d" * 400),
    ]
    assert tokens(request) <= 400
    assert [notice.code for notice in notices] == ["results_shortened"]


def test_results_that_say_little_are_not_worth_leaving_out():
    steps = [asks_for("a"), ToolMessage("a", "noon"), asks_for("b"), ToolMessage("b", "x" * 4_000)]
    request, _notices = fit([QUESTION], steps, Room(500))
    assert request[2] == ToolMessage("a", "noon")


def test_the_newest_results_are_cut_the_longest_first_and_each_says_so():
    steps = [asks_for("a", "b", "c"), *(ToolMessage(name, text) for name, text in (
        ("a", "a" * 40_000), ("b", "short"), ("c", "c" * 8_000),
    ))]
    request, notices = fit([QUESTION], steps, Room(6_000))
    a, b, c = request[-3:]
    assert b.text == "short" and c.text == "c" * 8_000
    assert a.text.startswith("aaaa") and a.text.endswith("too long to be read at once]")
    assert 5_900 < tokens(request) <= 6_000
    assert len(notices) == 1


def test_text_of_many_tokens_per_character_is_cut_by_what_the_model_reads():
    steps = [asks_for("a"), ToolMessage("a", "x" * 2_000 + "時" * 20_000)]
    request, _notices = fit([], steps, Room(3_000))
    assert 2_900 < tokens(request) <= 3_000


def test_however_little_room_there_is_something_of_a_newest_result_is_read():
    request, _notices = fit([QUESTION], [asks_for("a"), ToolMessage("a", "x" * 90_000)], Room(0))
    assert estimate(request[-1].text) == MIN_RESULT_TOKENS


def test_half_of_the_room_is_the_runs_own_however_long_the_conversation_is():
    long = UserMessage("x" * 400_000)
    steps = [asks_for("a"), ToolMessage("a", "y" * 10_000)]
    assert fit([long], steps, Room(10_000)) == ([long, *steps], [])


# -- images


def test_only_what_providers_take_for_images_is_one():
    parts = [
        ToolPart("image", "image/png", PNG), ToolPart("image", "image/jpeg", "/9j/"),
        ToolPart("image", "image/tiff", "SUkq"), ToolPart("image", "image/svg+xml", "PHN2Zz4="),
        ToolPart("image", "image/png", ""), ToolPart("file", "image/png", PNG),
        ToolPart("audio", "audio/wav", "UklGR"),
    ]
    assert images_of(ToolResult("a", "", ToolCallState.DONE, parts=tuple(parts))) == (
        f"data:image/png;base64,{PNG}", "data:image/jpeg;base64,/9j/",
    )


def test_a_model_that_sees_gets_the_images_behind_all_results_of_their_round():
    steps = [asks_for("a", "b"), ToolMessage("a", "[image]", (picture(1), picture(2))), ToolMessage("b", "noon")]
    request, notices = fit([QUESTION], steps, Room(sees_images=True))
    assert [to_wire(message)["role"] for message in request] == [
        "user", "assistant", "tool", "tool", "assistant", "user",
    ]
    assert request[-1].images == (picture(1), picture(2))
    assert request[-1].text == "[Images that tools returned, in this order: get_time, get_time]"
    assert notices == []


def test_a_model_that_does_not_see_gets_none():
    steps = [asks_for("a"), ToolMessage("a", "[image: image/png, 10 bytes]", (picture(1),))]
    request, _notices = fit([QUESTION], steps, Room(sees_images=False))
    assert list(map(to_wire, request)) == list(map(to_wire, [QUESTION, *steps]))


def test_images_of_earlier_replies_are_shown_where_they_were_returned():
    earlier = [QUESTION, asks_for("a"), ToolMessage("a", "[image]", (picture(1),)), AssistantMessage("A cat.")]
    request, _notices = fit([*earlier, UserMessage("Which colour?")], [], Room(sees_images=True))
    assert [message.images for message in request if isinstance(message, UserMessage)] == [(), (picture(1),), ()]
    assert repair(request) == request


def test_only_the_newest_images_are_shown():
    steps = [
        message for number in range(MAX_IMAGES + 2)
        for message in (asks_for(str(number)), ToolMessage(str(number), "[image]", (picture(number),)))
    ]
    request, _notices = fit([QUESTION], steps, Room(sees_images=True))
    shown = [image for message in request if isinstance(message, UserMessage) for image in message.images]
    assert shown == [picture(number) for number in range(2, MAX_IMAGES + 2)]


def test_images_that_are_too_large_together_are_left_out_from_the_oldest_on(monkeypatch):
    monkeypatch.setattr(context, "MAX_IMAGES_CHARS", 2_500)
    steps = [asks_for("a"), ToolMessage("a", "[images]", tuple(picture(number, 1_000) for number in range(3)))]
    request, _notices = fit([QUESTION], steps, Room(sees_images=True))
    assert request[-1].images == (picture(1, 1_000), picture(2, 1_000))


def test_images_that_people_have_attached_come_first_and_results_show_what_is_left(monkeypatch):
    steps = [asks_for("a"), ToolMessage("a", "[images]", tuple(picture(number) for number in range(MAX_IMAGES)))]
    look = UserMessage("Look", (picture(8, 1_000), picture(9, 1_000)))
    request, _notices = fit([look], steps, Room(sees_images=True))
    assert request[0] == look
    assert len(request[-1].images) == MAX_IMAGES - 2
    monkeypatch.setattr(context, "MAX_IMAGES_CHARS", 2 * len(picture(8, 1_000)) + 2 * len(picture(1)))
    request, _notices = fit([look], steps, Room(sees_images=True))
    assert request[0] == look
    assert request[-1].images == (picture(MAX_IMAGES - 2), picture(MAX_IMAGES - 1))


def test_a_result_that_is_left_out_takes_its_images_with_it():
    steps = [
        asks_for("a"), ToolMessage("a", "x" * 8_000, (picture(1),)), asks_for("b"), ToolMessage("b", "noon"),
    ]
    request, _notices = fit([QUESTION], steps, Room(2_500, sees_images=True))
    assert request == [QUESTION, asks_for("a"), ToolMessage("a", LEFT_OUT), *steps[2:]]


def test_a_model_that_reads_little_is_shown_fewer_images_and_reads_their_results_whole():
    steps = [asks_for("a"), ToolMessage("a", "[images]", tuple(map(picture, range(5))))]
    request, notices = fit([QUESTION], steps, Room(2_500, sees_images=True))
    assert request[-1].images == (picture(4),)
    assert (request[2].text, notices) == ("[images]", [])


def test_a_text_beside_images_is_cut_and_the_images_stay():
    steps = [asks_for("a"), ToolMessage("a", "x" * 20_000, (picture(1),))]
    request, _notices = fit([QUESTION], steps, Room(3_000, sees_images=True))
    assert request[-1].images == (picture(1),)
    assert 2_900 < tokens(request[:3]) <= 3_000


def test_a_stored_request_carries_no_images_of_results():
    assert to_wire(ToolMessage("a", "noon", (picture(1),))) == to_wire(ToolMessage("a", "noon"))


# -- in a run


def test_a_run_asks_with_what_fits_and_people_are_told_once():
    async def read(page):
        return f"{page}" * 4_000

    events = []
    pages = [calls(ToolCall(f"c{page}", "read", {"page": page})) for page in range(4)]
    model = ScriptedModel(*pages, answer("Done."))
    loop = Loop(model, MemorySteps(), events.append, max_rounds=10, room=Room(2_200))
    asyncio.run(loop.run([QUESTION], LocalTools(read)))
    read_at_last = [message.text[:1] for message in model.requests[-1][0] if isinstance(message, ToolMessage)]
    assert read_at_last == ["[", "[", "2", "3"]
    assert [event.code for event in events if isinstance(event, Notice)] == ["results_shortened"]
