"""The loop over in-memory ports: order, parallel calls, limits, and that nothing a tool does ends the conversation."""

import asyncio
from types import SimpleNamespace

import pytest

from services.errors import Fenced, ModelEmpty, ModelUnreachable
from services.events import (
    ApprovalRequested,
    Chunk,
    Notice,
    Progress,
    Restart,
    RoundEnded,
    ToolCallFinished,
    ToolCallStarted,
)
from services.loop import Loop
from services.messages import AssistantMessage, ToolCall, ToolMessage, ToolResult, Turn, UserMessage
from services.ports import Clearance
from services.specs import Checkpoint
from services.states import ToolCallState
from services.tools import NO_TOOLS, ToolOutput
from tests.fakes.memory import LocalTools, MemorySteps, ScriptedModel, answer, calls

QUESTION = [UserMessage("What is it?")]


class Conversation:
    """A loop with its doubles; `run` drives it to its end."""

    def __init__(self, *replies, tools=NO_TOOLS, max_rounds=10, **options):
        self.model = ScriptedModel(*replies)
        self.steps = MemorySteps()
        self.events = []
        self.tools = tools
        self.loop = Loop(self.model, self.steps, self.events.append, max_rounds=max_rounds, **options)

    def run(self):
        return asyncio.run(self.loop.run(QUESTION, self.tools))

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]


async def double(number):
    return str(number * 2)


async def shout(text):
    return text.upper()


def test_an_answer_without_tools_streams_as_it_comes():
    conversation = Conversation(answer("Hello", " world"))
    outcome = conversation.run()
    assert (outcome.text, outcome.rounds) == ("Hello world", 1)
    assert conversation.events == [Chunk("Hello"), Chunk(" world"), RoundEnded(1, "stop")]


def test_results_go_back_to_the_model_behind_the_calls_that_they_answer():
    call = ToolCall("c1", "double", {"number": 21})
    conversation = Conversation(calls(call), answer("It is 42."), tools=LocalTools(double))
    assert conversation.run().text == "It is 42."
    second_request, _ = conversation.model.requests[1]
    assert second_request == [*QUESTION, AssistantMessage("", (call,)), ToolMessage("c1", "42")]


def test_each_step_is_stored_before_the_next_thing_happens():
    conversation = Conversation(calls(ToolCall("c1", "double", {"number": 1})), answer("2"), tools=LocalTools(double))
    conversation.run()
    assert conversation.steps.log == [("turn", 1), ("sent", "c1"), ("done", "c1"), ("turn", 2)]


def test_read_only_calls_of_one_round_overlap_and_results_keep_the_order_of_the_calls():
    order = []

    async def first():
        await second_started.wait()
        order.append("first ends")
        return "1"

    async def second():
        second_started.set()
        order.append("second ends")
        return "2"

    second_started = asyncio.Event()
    conversation = Conversation(
        calls(ToolCall("a", "first"), ToolCall("b", "second")), answer("done"), tools=LocalTools(first, second),
    )
    conversation.run()
    assert order == ["second ends", "first ends"]
    assert [event.id for event in conversation.of(ToolCallFinished)] == ["b", "a"]
    assert conversation.model.requests[1][0][-2:] == [ToolMessage("a", "1"), ToolMessage("b", "2")]


def test_a_call_that_cannot_be_sent_holds_nobody_up():
    second_started = asyncio.Event()

    async def first():
        await second_started.wait()
        return "1"

    async def second():
        second_started.set()
        return "2"

    wanted = (ToolCall("a", "first"), ToolCall("b", "made_up"), ToolCall("c", "second"))
    conversation = Conversation(calls(*wanted), answer("done"), tools=LocalTools(first, second))
    conversation.run()
    assert [event.id for event in conversation.of(ToolCallFinished)] == ["b", "c", "a"]


def test_a_call_that_writes_waits_for_those_before_it_and_holds_those_after_it():
    log = []

    def tool(name):
        async def function():
            log.append(f"{name} starts")
            await asyncio.sleep(0)
            log.append(f"{name} ends")
            return name

        function.__name__ = name
        return function

    tools = LocalTools(tool("read"), tool("write"), tool("look"), writes={"write"})
    round_of_three = calls(ToolCall("a", "read"), ToolCall("b", "write"), ToolCall("c", "look"))
    Conversation(round_of_three, answer("done"), tools=tools).run()
    assert log == ["read starts", "read ends", "write starts", "write ends", "look starts", "look ends"]


def test_a_tool_that_fails_or_crashes_is_a_result_for_the_model():
    async def fail():
        return ToolOutput("No such order.", is_error=True)

    async def crash():
        raise RuntimeError("secret details")

    conversation = Conversation(
        calls(ToolCall("a", "fail"), ToolCall("b", "crash")), answer("Sorry."), tools=LocalTools(fail, crash),
    )
    assert conversation.run().text == "Sorry."
    results = {event.id: event for event in conversation.of(ToolCallFinished)}
    assert results["a"].result == "No such order."
    assert results["b"].result == "The tool failed unexpectedly."
    assert {result.state for result in results.values()} == {ToolCallState.ERROR}


def test_q10_malformed_arguments_are_not_executed_and_the_model_is_told_why():
    call = ToolCall("c1", "double", {}, '{"number": ', problem="The arguments are not valid JSON.")
    conversation = Conversation(calls(call), answer("Again."), tools=LocalTools(double))
    conversation.run()
    [started] = conversation.of(ToolCallStarted)
    [finished] = conversation.of(ToolCallFinished)
    assert (started.args, started.raw_args) == ({}, '{"number": ')
    assert "not valid JSON" in finished.result and finished.state is ToolCallState.ERROR
    assert ("sent", "c1") not in conversation.steps.log


def test_q20_a_tool_that_does_not_exist_gets_an_error_that_lists_the_real_names():
    conversation = Conversation(calls(ToolCall("c1", "dubble")), answer("Hm."), tools=LocalTools(double, shout))
    conversation.run()
    [finished] = conversation.of(ToolCallFinished)
    assert "'dubble'" in finished.result and "double, shout" in finished.result


def test_q21_the_same_call_again_and_again_is_refused_with_an_explanation():
    again = [calls(ToolCall(f"c{n}", "double", {"number": 1})) for n in range(4)]
    conversation = Conversation(*again, answer("Enough."), tools=LocalTools(double))
    conversation.run()
    results = [event.result for event in conversation.of(ToolCallFinished)]
    assert results[:3] == ["2", "2", "2"]
    assert "made 3 times" in results[3]


def test_q22_the_last_round_gets_no_tools_so_that_the_person_gets_an_answer():
    conversation = Conversation(
        calls(ToolCall("a", "double", {"number": 1})),
        calls(ToolCall("b", "double", {"number": 2})),
        answer("That is all I know."),
        tools=LocalTools(double), max_rounds=3,
    )
    outcome = conversation.run()
    assert (outcome.text, outcome.rounds) == ("That is all I know.", 3)
    assert [names for _, names in conversation.model.requests] == [["double"], ["double"], []]
    assert [notice.code for notice in conversation.of(Notice)] == ["round_limit"]


def test_q22_where_only_one_round_is_allowed_nobody_is_told_of_a_limit():
    conversation = Conversation(answer("4"), tools=LocalTools(double), max_rounds=1)
    assert conversation.run().text == "4"
    assert (conversation.model.requests[0][1], conversation.of(Notice)) == ([], [])


def test_q22_calls_of_a_model_that_was_given_no_tools_are_not_announced():
    stubborn = calls(ToolCall("b", "double", {"number": 2}), text="I give up.")
    conversation = Conversation(
        calls(ToolCall("a", "double", {"number": 1})), stubborn, tools=LocalTools(double), max_rounds=2,
    )
    assert conversation.run().text == "I give up."
    assert [event.id for event in conversation.of(ToolCallStarted)] == ["a"]


def test_what_is_said_in_several_rounds_becomes_paragraphs_of_one_reply():
    conversation = Conversation(
        calls(ToolCall("a", "double", {"number": 1}), text="Let me see."), answer("It is", " 2."),
        tools=LocalTools(double),
    )
    assert conversation.run().text == "Let me see.\n\nIt is 2."
    assert "".join(chunk.content for chunk in conversation.of(Chunk)) == "Let me see.\n\nIt is 2."


def test_a_reply_without_text_and_calls_is_an_error():
    with pytest.raises(ModelEmpty):
        Conversation(answer("")).run()


def test_an_error_of_the_model_leaves_the_partial_text_in_the_outcome():
    conversation = Conversation([Chunk("Half an ans"), ModelUnreachable("The connection broke.")])
    with pytest.raises(ModelUnreachable):
        conversation.run()
    assert conversation.loop.outcome.text == "Half an ans"


def test_a_fenced_step_ends_the_loop_also_out_of_parallel_calls():
    async def fence():
        conversation.steps.problem = Fenced()
        return "too late"

    conversation = Conversation(
        calls(ToolCall("a", "fence"), ToolCall("b", "double", {"number": 1})), tools=LocalTools(fence, double),
    )
    with pytest.raises(Fenced):
        conversation.run()


def test_a_call_that_asks_waits_and_the_calls_beside_it_run():
    conversation = Conversation(
        calls(ToolCall("a", "double", {"number": 1}), ToolCall("b", "shout", {"text": "hi"})),
        tools=LocalTools(double, shout, asks={"shout"}),
    )
    assert conversation.run().waiting == ("b",)
    states = [event.state for event in conversation.of(ToolCallStarted)]
    assert states == [ToolCallState.PENDING, ToolCallState.APPROVAL]
    assert [event.id for event in conversation.of(ApprovalRequested)] == ["b"]
    assert [event.id for event in conversation.of(ToolCallFinished)] == ["a"]


def test_q21_nobody_is_asked_about_a_call_that_is_refused_for_being_repeated():
    same = [ToolCall(identity, "shout", {"text": "hi"}) for identity in "abcd"]
    conversation = Conversation(calls(*same), tools=LocalTools(shout, asks={"shout"}, writes={"shout"}))
    assert conversation.run().waiting == ("a", "b", "c")
    assert conversation.steps.asking == {"a", "b", "c"}
    states = [event.state for event in conversation.of(ToolCallStarted)]
    assert states == [*[ToolCallState.APPROVAL] * 3, ToolCallState.PENDING]


def test_q21_repetitions_are_counted_across_rounds_and_attempts():
    done = ToolResult("a", "HI", ToolCallState.DONE)
    checkpoint = resumed(results={"a": done}, announced={"a"}, reported={"a"}, streamed_round=1)
    again = [calls(ToolCall(identity, "shout", {"text": "hi"})) for identity in "bcd"]
    conversation = Conversation(*again, answer("HI"), tools=LocalTools(shout), checkpoint=checkpoint)
    conversation.run()
    assert [event.state for event in conversation.of(ToolCallFinished)] == ["done", "done", "error"]


def test_q21_the_same_arguments_for_another_tool_are_another_call():
    async def whisper(text):
        return text.lower()

    rounds = [calls(ToolCall(name, name, {"text": "hi"})) for name in ("shout", "whisper")]
    again = [
        calls(ToolCall(f"{name}{number}", name, {"text": "hi"}))
        for number in (1, 2) for name in ("shout", "whisper")
    ]
    conversation = Conversation(*rounds, *again, answer("HI hi"), tools=LocalTools(shout, whisper))
    conversation.run()
    assert {event.state for event in conversation.of(ToolCallFinished)} == {ToolCallState.DONE}


def test_what_stands_behind_a_call_that_asks_and_writes_waits_with_it():
    tools = LocalTools(double, shout, asks={"shout"}, writes={"shout"})
    asked, behind = ToolCall("a", "shout", {"text": "hi"}), ToolCall("b", "double", {"number": 1})
    conversation = Conversation(calls(asked, behind), tools=tools)
    assert conversation.run().waiting == ("a",)
    assert conversation.of(ToolCallFinished) == []


def test_people_are_told_whose_tool_it_is_and_that_its_result_is_only_a_part():
    async def read():
        return ToolOutput("The beginning …", truncated=True)

    conversation = Conversation(calls(ToolCall("a", "read")), answer("Hm."), tools=LocalTools(read))
    conversation.run()
    assert [(event.tool, event.server) for event in conversation.of(ToolCallStarted)] == [("read", "Local")]
    assert [event.truncated for event in conversation.of(ToolCallFinished)] == [True]


def test_half_a_character_from_a_tool_is_told_as_one_that_can_be_stored_and_sent():
    async def tear():
        return "torn \ud83d"

    conversation = Conversation(calls(ToolCall("a", "tear")), answer("Hm."), tools=LocalTools(tear))
    conversation.run()
    assert conversation.of(ToolCallFinished)[0].result == "torn \ufffd"
    assert conversation.model.requests[1][0][-1] == ToolMessage("a", "torn \ufffd")


def test_a_notice_of_the_model_is_told_once_in_a_run():
    notice = Notice("images_unsupported", "No images.")
    conversation = Conversation(
        [notice, *calls(ToolCall("a", "double", {"number": 1}))], [notice, *answer("2")], tools=LocalTools(double),
    )
    conversation.run()
    assert conversation.of(Notice) == [notice]


class ReportingTools(LocalTools):
    """One tool, `count`, that twice reports every step up to `number`, and then lets others work."""

    def __init__(self):
        super().__init__(self.count)

    async def count(self, number):
        return f"counted to {number}"

    async def call(self, tool, arguments, report):
        for _ in range(2):
            for step in range(1, arguments["number"] + 1):
                report(step, arguments["number"], None)
            await asyncio.sleep(0)
        return await super().call(tool, arguments, report)


def counting(number):
    return Conversation(
        calls(ToolCall("a", "count", {"number": number})), answer("Done."), tools=ReportingTools(),
    )


def test_q35_all_progress_of_a_call_is_an_event_and_once_in_a_while_the_newest_is_a_step():
    conversation = counting(100)
    conversation.run()
    assert [event.progress for event in conversation.of(Progress)] == [*range(1, 101)] * 2
    assert [subject for what, subject in conversation.steps.log if what == "progress"] == [Progress("a", 100, 100)]


def test_q35_progress_that_cannot_be_kept_costs_the_call_nothing():
    async def hang(call, progress):
        await asyncio.Event().wait()

    async def fail(call, progress):
        raise ConnectionError

    for call_progressed in (hang, fail):
        conversation = counting(3)
        conversation.steps.call_progressed = call_progressed
        conversation.run()
        assert [event.result for event in conversation.of(ToolCallFinished)] == ["counted to 3"]


@pytest.mark.parametrize("rests", [False, True], ids=["at once", "when all was told"])
def test_q35_progress_becomes_a_step_again_after_a_pause(monkeypatch, rests):
    monkeypatch.setattr("services.loop.PROGRESS_PAUSE_S", 0)
    kept = asyncio.Queue()

    class Patient(ReportingTools):
        """Reports the next step when the one before has been kept."""

        async def call(self, tool, arguments, report):
            steps = []
            before = asyncio.all_tasks()
            for step in range(1, 4):
                report(step, None, None)
                steps.append(await kept.get())
                if rests and (telling := asyncio.all_tasks() - before):
                    await asyncio.wait(telling)
            return ToolOutput(str(steps))

    async def keep(call, progress):
        kept.put_nowait(progress.progress)

    conversation = counting(3)
    conversation.tools = Patient()
    conversation.steps.call_progressed = keep
    conversation.run()
    assert [event.result for event in conversation.of(ToolCallFinished)] == ["[1, 2, 3]"]


def resumed(**progress):
    """A checkpoint after one turn with the call "a"."""
    turn = Turn(AssistantMessage("Let me see.", (ToolCall("a", "shout", {"text": "hi"}),)), "tool_calls")
    return Checkpoint((turn,), **progress)


def test_an_approved_call_is_executed_when_the_run_goes_on():
    checkpoint = resumed(approved={"a"}, announced={"a"}, streamed_round=1)
    conversation = Conversation(answer("HI it is."), tools=LocalTools(shout, asks={"shout"}), checkpoint=checkpoint)
    assert conversation.run().text == "Let me see.\n\nHI it is."
    assert conversation.steps.log == [("sent", "a"), ("done", "a"), ("turn", 2)]
    assert conversation.of(ToolCallStarted) == []


def test_a_call_that_had_been_sent_is_not_sent_again():
    checkpoint = resumed(sent=frozenset({"a"}), announced={"a"}, streamed_round=1)
    tools = LocalTools(shout, writes={"shout"})
    conversation = Conversation(answer("Unknown."), tools=tools, checkpoint=checkpoint)
    conversation.run()
    assert conversation.steps.log == [("error", "a"), ("turn", 2)]
    assert "outcome is unknown" in conversation.of(ToolCallFinished)[0].result


def test_q43_a_call_that_had_been_sent_is_sent_again_where_twice_is_the_same_as_once():
    checkpoint = resumed(sent=frozenset({"a"}), announced={"a"}, streamed_round=1)
    conversation = Conversation(answer("HI it is."), tools=LocalTools(shout), checkpoint=checkpoint)
    conversation.run()
    assert conversation.steps.log == [("sent", "a"), ("done", "a"), ("turn", 2)]
    assert conversation.of(ToolCallStarted) == []


def test_q43_of_a_call_that_had_been_sent_nobody_says_that_it_was_not_executed():
    checkpoint = resumed(sent=frozenset({"a"}), announced={"a"}, streamed_round=1)
    conversation = Conversation(answer("Unknown."), tools=LocalTools(shout), checkpoint=checkpoint)
    conversation.steps.clearances["a"] = Clearance(refusal="Not executed: the tool was switched off.")
    conversation.run()
    assert "outcome is unknown" in conversation.of(ToolCallFinished)[0].result


def test_q43_a_call_that_had_been_sent_waits_for_nobody():
    checkpoint = resumed(sent=frozenset({"a"}), announced={"a"}, streamed_round=1)
    tools = LocalTools(shout, asks={"shout"})  # since it was sent
    conversation = Conversation(answer("Unknown."), tools=tools, checkpoint=checkpoint)
    assert conversation.run().waiting == ()
    assert conversation.steps.log == [("error", "a"), ("turn", 2)]


def test_a_round_that_was_only_streamed_is_void_and_comes_again():
    checkpoint = resumed(results={"a": ToolResult("a", "HI", ToolCallState.DONE)}, announced={"a"}, reported={"a"},
                         streamed_round=2)
    conversation = Conversation(answer("HI it is."), tools=LocalTools(shout), checkpoint=checkpoint)
    conversation.run()
    assert conversation.events[0] == Restart(2)
    assert conversation.model.requests[0][0][-1] == ToolMessage("a", "HI")


def test_what_the_journal_lost_in_a_crash_is_announced_once_more():
    checkpoint = resumed(results={"a": ToolResult("a", "HI", ToolCallState.DONE)}, streamed_round=1)
    conversation = Conversation(answer("HI it is."), tools=LocalTools(shout), checkpoint=checkpoint)
    conversation.run()
    assert [event.id for event in conversation.of(ToolCallStarted)] == ["a"]
    assert [event.id for event in conversation.of(ToolCallFinished)] == ["a"]


def test_a_run_whose_last_turn_was_the_answer_asks_nothing_more():
    checkpoint = Checkpoint((Turn(AssistantMessage("42")),), streamed_round=1)
    conversation = Conversation(checkpoint=checkpoint)
    assert conversation.run().text == "42"
    assert conversation.model.requests == []


def test_closing_gives_every_open_call_its_one_result():
    checkpoint = resumed(announced={"a"}, streamed_round=1)
    conversation = Conversation(checkpoint=checkpoint)
    asyncio.run(conversation.loop.close("Cancelled: the run was stopped."))
    [finished] = conversation.of(ToolCallFinished)
    assert (finished.id, finished.state) == ("a", ToolCallState.CANCELLED)
    assert conversation.steps.log == [("cancelled", "a")]


def test_a_call_whose_tool_asks_by_now_waits_and_is_not_sent():
    call = ToolCall("c1", "double", {"number": 1})
    conversation = Conversation(calls(call), tools=LocalTools(double))
    conversation.steps.clearances["c1"] = Clearance(asks=True)
    assert conversation.run().waiting == ("c1",)
    assert conversation.steps.log == [("turn", 1)]
    assert conversation.of(ApprovalRequested) == [ApprovalRequested("c1", "double", {"number": 1})]


def test_a_call_is_made_with_what_a_person_has_made_of_its_arguments_and_the_model_learns_of_it():
    call = ToolCall("c1", "double", {"number": 1})
    conversation = Conversation(calls(call), answer("42."), tools=LocalTools(double))
    conversation.steps.clearances["c1"] = Clearance(arguments={"number": 21})
    conversation.steps.notes["c1"] = "[Ann changed the arguments.]"
    conversation.run()
    second_request, _ = conversation.model.requests[1]
    told = ToolMessage("c1", "[Ann changed the arguments.]\n\n42")
    assert second_request[-2:] == [AssistantMessage("", (call,)), told]
    assert conversation.of(ToolCallFinished)[0].result == "42"


def test_a_call_that_may_not_be_made_any_more_is_refused_with_the_reason():
    call = ToolCall("c1", "double", {"number": 1})
    conversation = Conversation(calls(call), answer("I cannot."), tools=LocalTools(double))
    conversation.steps.clearances["c1"] = Clearance(refusal="The tool was switched off.")
    assert conversation.run().text == "I cannot."
    assert conversation.model.requests[1][0][-1] == ToolMessage("c1", "The tool was switched off.")
    assert conversation.steps.log == [("turn", 1), ("error", "c1"), ("turn", 2)]


def test_where_a_budget_is_used_up_the_model_answers_without_tools_and_people_are_told():
    call = ToolCall("c1", "double", {"number": 1})
    conversation = Conversation(calls(call), answer("2"), tools=LocalTools(double))
    conversation.steps.spent = "The 1,000 tokens for one reply are used up."
    assert conversation.run().text == "2"
    assert [offered for _messages, offered in conversation.model.requests] == [["double"], []]
    assert [notice.code for notice in conversation.of(Notice)] == ["budget_limit"]


def test_a_run_that_goes_on_with_its_budget_used_up_makes_the_calls_that_were_allowed_and_answers():
    conversation = Conversation(
        answer("HI it is."), tools=LocalTools(shout), checkpoint=resumed(approved={"a"}), spent="Used up.",
    )
    assert conversation.run().text == "Let me see.\n\nHI it is."
    assert conversation.steps.log[:2] == [("sent", "a"), ("done", "a")]
    assert [offered for _messages, offered in conversation.model.requests] == [[]]
    assert conversation.of(Notice) == [Notice("budget_limit", "Used up. The answer is made of what is known so far.")]


def test_when_the_time_is_almost_over_the_model_answers_without_tools(monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr("services.loop.time", SimpleNamespace(monotonic=lambda: clock.now))

    async def linger():
        clock.now = 80.0
        return "Here I am."

    call = ToolCall("c1", "linger", {})
    conversation = Conversation(calls(call), answer("That is all I know."), tools=LocalTools(linger), deadline=100)
    assert conversation.run().text == "That is all I know."
    assert [offered for _messages, offered in conversation.model.requests] == [["linger"], []]
    assert [notice.code for notice in conversation.of(Notice)] == ["time_limit"]
