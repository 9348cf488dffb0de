"""The states of a run and of a tool call, and every transition that is allowed: the only place that knows them.

The models check each write against these tables, so that an illegal move fails loudly wherever it comes from.
"""

from enum import StrEnum


class RunState(StrEnum):
    QUEUED = "queued"  # its job waits in the queue
    RUNNING = "running"  # a host executes it
    WAITING = "waiting"  # parked: a person has to decide on a tool call
    DONE = "done"  # the final answer is stored
    ERROR = "error"  # ended without a final answer, and people were told why
    CANCELLED = "cancelled"  # a person stopped it


class ToolCallState(StrEnum):
    PENDING = "pending"  # announced by the model, not sent yet
    APPROVAL = "approval"  # waits for a person's decision
    INVOKING = "invoking"  # committed before the call leaves, so that a crash cannot send it twice
    DONE = "done"
    ERROR = "error"
    DENIED = "denied"
    CANCELLED = "cancelled"


RUN_TRANSITIONS = frozenset({
    (RunState.QUEUED, RunState.RUNNING),  # host: the job starts
    (RunState.QUEUED, RunState.ERROR),  # host: cannot even start
    (RunState.QUEUED, RunState.CANCELLED),  # any process: stop
    (RunState.RUNNING, RunState.WAITING),  # host: parked for an approval
    (RunState.RUNNING, RunState.DONE),  # host: final answer
    (RunState.RUNNING, RunState.ERROR),  # host: unrecoverable
    (RunState.RUNNING, RunState.CANCELLED),  # the owning host, or the stopper after taking the next attempt
    (RunState.RUNNING, RunState.QUEUED),  # clean shutdown or takeover after a lost heartbeat
    (RunState.WAITING, RunState.QUEUED),  # the last open approval was decided or expired
    (RunState.WAITING, RunState.CANCELLED),  # any process: stop
})

TOOL_CALL_TRANSITIONS = frozenset({
    (ToolCallState.PENDING, ToolCallState.APPROVAL),
    (ToolCallState.PENDING, ToolCallState.INVOKING),
    (ToolCallState.PENDING, ToolCallState.ERROR),  # unknown tool, invalid arguments: never sent
    (ToolCallState.PENDING, ToolCallState.DENIED),  # the policy forbids it
    (ToolCallState.PENDING, ToolCallState.CANCELLED),
    (ToolCallState.APPROVAL, ToolCallState.PENDING),  # approved
    (ToolCallState.APPROVAL, ToolCallState.DENIED),
    (ToolCallState.APPROVAL, ToolCallState.CANCELLED),
    (ToolCallState.INVOKING, ToolCallState.DONE),
    (ToolCallState.INVOKING, ToolCallState.ERROR),
    (ToolCallState.INVOKING, ToolCallState.CANCELLED),
})

RUN_ENDS = frozenset({RunState.DONE, RunState.ERROR, RunState.CANCELLED})
TOOL_CALL_ENDS = frozenset({
    ToolCallState.DONE, ToolCallState.ERROR, ToolCallState.DENIED, ToolCallState.CANCELLED,
})


class IllegalTransition(Exception):
    """A run or tool call was asked to move to a state that is not reachable from where it is."""

    def __init__(self, kind: str, source: str, target: str):
        super().__init__(f"A {kind} cannot go from '{source}' to '{target}'.")
        self.source = source
        self.target = target


def check_run(source: str, target: str) -> None:
    """Raise `IllegalTransition` unless a run may move from `source` to `target`."""
    if (source, target) not in RUN_TRANSITIONS:
        raise IllegalTransition("run", source, target)


def check_tool_call(source: str, target: str) -> None:
    """Raise `IllegalTransition` unless a tool call may move from `source` to `target`."""
    if (source, target) not in TOOL_CALL_TRANSITIONS:
        raise IllegalTransition("tool call", source, target)
