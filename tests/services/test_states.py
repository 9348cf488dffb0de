"""The table of states is the one that the design writes down."""

import pytest

from services.states import (
    RUN_ENDS,
    RUN_TRANSITIONS,
    TOOL_CALL_ENDS,
    TOOL_CALL_TRANSITIONS,
    IllegalTransition,
    RunState,
    check_run,
    check_tool_call,
)


@pytest.mark.parametrize("end", sorted(RUN_ENDS))
def test_a_run_that_ended_goes_nowhere(end):
    assert not [pair for pair in RUN_TRANSITIONS if pair[0] == end]


@pytest.mark.parametrize("end", sorted(TOOL_CALL_ENDS))
def test_a_tool_call_that_ended_goes_nowhere(end):
    assert not [pair for pair in TOOL_CALL_TRANSITIONS if pair[0] == end]


def test_every_run_can_reach_an_end_from_every_other_state():
    for state in set(RunState) - RUN_ENDS:
        assert any((state, end) in RUN_TRANSITIONS for end in RUN_ENDS)


def test_an_illegal_transition_names_both_states():
    with pytest.raises(IllegalTransition, match="from 'done' to 'running'"):
        check_run("done", "running")
    with pytest.raises(IllegalTransition, match="from 'denied' to 'invoking'"):
        check_tool_call("denied", "invoking")


def test_plain_strings_from_the_database_are_checked_like_the_enums():
    check_run("queued", "running")
    check_tool_call("approval", "pending")
