"""What an attempt of a run starts from, loaded from records into the engine's values. It only reads."""

from odoo.exceptions import AccessError

from ..services import context
from ..services.errors import BudgetSpent, NotAllowed, NotConfigured
from ..services.events import Notice
from ..services.messages import from_wire
from ..services.specs import Checkpoint, RunInputs
from ..services.states import ToolCallState
from . import conversation

CREDENTIALS_MISSING = "credentials_missing"  # code of the notice


def is_pointless(run) -> bool:
    """Whether nobody wants an answer any more: the run was stopped, or its question or conversation was taken back."""
    question = run.trigger_message_id
    asked_in_channel = run.channel_id and not run.messages
    return run.stop_requested or (
        asked_in_channel
        and (not run.channel_id.active or not question or question._ai_is_deleted())
    )


def load(run) -> RunInputs:
    """The inputs of `run`, for the attempt that has just begun. Secrets are in there.

    Raises:
        NotAllowed: the one who asked may no longer use the assistant, or has left the conversation.
        NotConfigured: the assistant cannot answer as it is set up.
        BudgetSpent: since it was requested, a budget was used up.
    """
    env = run._acting_env()
    channel, assistant = run.channel_id.with_env(env), run.assistant_id.with_env(env)
    _check_access(channel, assistant)
    tools, tool_notices = _tools(channel, assistant)
    model = _model(assistant.sudo())
    room = context.room_for(model, tools)
    messages, history_notices = _messages(run, assistant.sudo(), room)
    [(last_seq,)] = run.env["ai.run.event"]._read_group([("run_id", "=", run.id)], aggregates=["seq:max"])
    is_first = run.attempt == 1
    return RunInputs(
        run_id=run.id,
        attempt=run.attempt,
        next_seq=(last_seq or 0) + 1,
        model=model,
        messages=messages,
        tools=tools,
        max_rounds=run._strictest("max_rounds", assistant.max_rounds),
        room=room,
        deadline=float(run._strictest("max_seconds", assistant.run_timeout)),
        seconds_worked=run.seconds_worked,
        spent=_spent(run),
        limits=run.env["res.config.settings"]._ai_limits(),
        notices=(*history_notices, *tool_notices) if is_first else (),
        checkpoint=Checkpoint() if is_first else _checkpoint(run, room),
    )


def _spent(run) -> str:
    """Which budget is used up. A run that has said nothing yet ends with it: who asks many questions at once is not
    given one answer to each."""
    spent = run._budget_spent()
    if spent and not run.transcript:
        raise BudgetSpent(spent)
    return spent


def _check_access(channel, assistant) -> None:
    try:
        assistant._check_usable(assistant.env.user)
        channel.check_access("read")
    except AccessError as error:
        raise NotAllowed(str(error)) from error
    if channel and not channel.is_member:
        raise NotAllowed("The person who asked is no longer a member of this conversation.")


def _model(assistant):
    # sudo: ai.assistant, ai.provider - how the assistant answers is its managers' secret; its users only get the answer
    assistant.provider_id.fetch(["active", "base_url", "guarded", "stored_api_key", "timeout"])  # in one query
    if not assistant.provider_id or not assistant.provider_id.active:
        raise NotConfigured("This assistant has no provider. Ask its manager to choose one.")
    if not assistant.model:
        raise NotConfigured("This assistant has no model. Ask its manager to choose one.")
    temperature = assistant.temperature if assistant.set_temperature else None
    return assistant.provider_id._model_spec(assistant.model, temperature)


def _tools(channel, assistant):
    """The specs of the run's tools; a server that may not be called costs its own tools and a notice."""
    specs, notices = [], []
    usable = assistant._run_tools(channel, assistant.env.user)
    allowed = _allowed(usable, assistant, channel)
    for server, tools in usable.grouped("server_id").items():
        if problem := server._credential_problem(assistant.env.user):
            notices.append(Notice(CREDENTIALS_MISSING, problem))
            continue
        try:
            server_spec = server._spec(assistant.env.user)
        except AccessError as error:
            notices.append(Notice("server_unreachable", f"{server.name}: {error}"))
            continue
        specs += [tool._spec(server_spec, assistant, allowed) for tool in tools]
    return tuple(specs), notices


def _allowed(tools, assistant, channel):
    """Those of `tools` that people have allowed once and for all; nothing is read where none of them asks."""
    asking = tools.filtered(lambda tool: tool._policy(assistant) == "ask")
    if not asking or not channel:
        return tools.browse()
    return asking & asking.env["ai.approval.rule"]._allowed_tools(assistant, channel, assistant.env.user)


def _messages(run, assistant, room):
    """What the model is asked: the run's own snapshot, else the conversation up to its question."""
    if run.messages:
        return list(map(from_wire, run.messages)), []
    # sudo: mail.message, ai.run - of a conversation that the one who asked may read, which was checked
    return conversation.read(run.sudo(), assistant, room)


def _checkpoint(run, room) -> Checkpoint:
    """How far the earlier attempts came, and what of it the journal has told."""
    turns, results = run._stored_turns(conversation.with_images(run.tool_call_ids, room))
    streamed_round, announced, reported = _told(run)
    return Checkpoint(
        turns=turns,
        results=results,
        sent=frozenset(run._calls_in(ToolCallState.INVOKING).mapped("call_id")),
        approved=frozenset(call.call_id for call in run.tool_call_ids if call.is_approved),
        streamed_round=streamed_round,
        announced=announced,
        reported=reported,
    )


def _told(run):
    """What viewers have seen: the last round of which anything is in the journal, and which calls and results are."""
    run.env.cr.execute(
        """
        SELECT payload->>'type', payload->>'id', (payload->>'round')::int FROM ai_run_event
         WHERE run_id = %s AND payload->>'type' IN ('chunk', 'reasoning', 'tool_call', 'tool_result', 'step', 'restart')
         ORDER BY seq
        """,
        [run.id],
    )
    streamed, open_round, announced, reported = 0, 1, set(), set()
    for kind, call_id, round in run.env.cr.fetchall():
        match kind:
            case "chunk" | "reasoning":
                streamed = max(streamed, open_round)
            case "step":
                streamed, open_round = max(streamed, round), round + 1
            case "restart":
                streamed, open_round = round - 1, round
            case "tool_call":
                streamed = max(streamed, round)
                announced.add(call_id)
            case "tool_result":
                reported.add(call_id)
    return streamed, frozenset(announced), frozenset(reported)
