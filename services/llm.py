"""A language model behind an OpenAI-compatible API: one reply, streamed, or an error that a person understands.

The official SDK makes the request. The stream is read here, frame by frame, because what servers send in place of
frames (an error in a 200, a web page, nothing after half a sentence) must not pass for an answer. Not here: what a
request says (`llm_requests`, below), what a delta means (`deltas`), what a failure means and whether to try again
(`llm_failures`), what happens after a reply (`loop`, above).
"""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from functools import cache
from ssl import SSLContext
from typing import Any

import httpx2
import openai

from .aiohttp_transport import AiohttpTransport
from .deltas import MAX_CALLS, Accumulator
from .errors import ModelEmpty, ModelRejectedKey
from .events import Chunk, Notice, Reasoning
from .llm_failures import (
    BROKEN,
    EndedEarly,
    ErrorFrame,
    Failure,
    GaveUp,
    Quirk,
    Unusable,
    adaptation,
    failure_of,
    host_of,
    is_lasting,
    retry_delay,
)
from .llm_requests import request_body
from .messages import Message, Turn, UserMessage
from .pinned_transport import PinnedTransport
from .specs import ModelSpec
from .tools import Tool

CONNECT_TIMEOUT_S = 10.0  # a provider that is there answers within one; a person waits
KEEPALIVE_S = 60.0  # for the next round, which comes when the tools are done
LAST_WORDS_S = 5.0  # for the usage, once the reply has ended: some servers then close nothing
DRAIN_TIMEOUT_S = 0.1  # from `[DONE]` to the end of the body, so that the connection can be used again
MAX_EVENT_BYTES = 16 * 1024 * 1024  # one frame; a whole reply may come in one
MAX_REPLY_BYTES = 128 * 1024 * 1024  # all frames: some 600,000 tokens, more than any model says in a reply
REMEMBER_S = 3600.0  # then a server that was upgraded gets another chance
GAVE_UP = {"error", "abort", "insufficient_system_resource"}  # reasons that are no end: Mistral, vLLM, DeepSeek


class OpenAIModel:
    """A model as the engine's port sees it. It shares the connections of `models`, or has its own and closes them."""

    def __init__(self, spec: ModelSpec, models: "Models | None" = None):
        self._spec = spec
        self._models = models or Models()
        self._owns_models = models is None

    async def aclose(self) -> None:
        """Close what is this model's own."""
        if self._owns_models:
            await self._models.aclose()

    async def ask(
        self, messages: Sequence[Message], tools: Sequence[Tool]
    ) -> AsyncIterator[Chunk | Reasoning | Notice | Turn]:
        """Stream one reply; see `ports.Model`. Closing the generator, or cancelling its task, closes the connection.

        Raises:
            RunError: a `Model…` error, or `NotConfigured` where the base URL is none.
        """
        attempts = _Attempts(self._spec, messages, tools, self._models)
        taken_ids = frozenset(call.id for message in messages for call in getattr(message, "tool_calls", ()))
        while True:
            reply = Accumulator(taken_ids)
            try:
                async with _opened(self._models.client(self._spec), self._spec, attempts.body()) as response:
                    for notice in attempts.notices():
                        yield notice
                    async with aclosing(_frames(response)) as frames:
                        while (frame := await _next(frames, reply)) is not None:
                            for item in _fed(reply, frame):
                                attempts.has_output = True
                                yield item
            except (openai.APIError, Unusable, *BROKEN) as problem:
                # A connection that breaks after the last word costs nothing but the usage.
                if not (reply.finish_reason and isinstance(problem, BROKEN)):
                    await attempts.recover(failure_of(problem, self._spec))
                    continue
            turn = reply.finish()
            if turn.message.text.strip() or (turn.message.tool_calls and tools):  # unasked, a call is no answer
                attempts.succeeded()
                if reply.excess_calls and tools:
                    yield _too_many_calls(reply.excess_calls)
                yield turn
                return
            attempts.recover_from_nothing(turn.finish_reason)


class Models:
    """The models of a host: one connection pool per provider and key, and what was learnt about servers. It belongs to
    the event loop that uses it."""

    def __init__(self):
        self._clients: dict[tuple[str, str, bool], openai.AsyncOpenAI] = {}
        self._known: dict[tuple[str, str, Quirk], float] = {}  # until when
        self._take_tools: set[tuple[str, str]] = set()  # models that have taken a request with tools

    def get(self, spec: ModelSpec) -> OpenAIModel:
        return OpenAIModel(spec, self)

    async def aclose(self) -> None:
        """Close all connections, those in use included."""
        clients = list(self._clients.values())
        self._clients.clear()
        await asyncio.gather(*(client.close() for client in clients))

    def client(self, spec: ModelSpec) -> openai.AsyncOpenAI:
        """The SDK's client for this provider and key.

        Raises:
            RunError: the base URL or the key has a form that cannot be sent.
        """
        identity = spec.base_url, spec.api_key, spec.guarded
        if identity not in self._clients:
            self._clients[identity] = _new_client(spec, _pinned() if spec.guarded else _quick())
        return self._clients[identity]

    def quirks(self, spec: ModelSpec) -> set[Quirk]:
        """What is known about this model and its server."""
        now = time.monotonic()
        return {quirk for quirk in Quirk if self._known.get(_scope(quirk, spec), 0.0) > now}

    def remember(self, quirk: Quirk, spec: ModelSpec) -> None:
        self._known[_scope(quirk, spec)] = time.monotonic() + REMEMBER_S

    def takes_tools(self, spec: ModelSpec) -> bool:
        return (spec.base_url, spec.model) in self._take_tools

    def took_tools(self, spec: ModelSpec) -> None:
        self._take_tools.add((spec.base_url, spec.model))


async def list_models(spec: ModelSpec) -> list[str]:
    """The names of the models that the provider lists, sorted. One request, no retries: a person is waiting.

    Raises:
        RunError: as `OpenAIModel.ask`; `ModelRefused` also where a server has no such list.
    """
    client = _new_client(spec, _pinned() if spec.guarded else None)  # aiohttp repeats a GET by itself
    try:
        response = await client.get("/models", cast_to=httpx2.Response, options=_options(spec))
        return _model_names(response.content)
    except (openai.APIError, Unusable, *BROKEN) as problem:
        raise failure_of(problem, spec).error from None
    finally:
        await client.close()


class _Attempts:
    """How one reply is asked for: again, or differently, until it comes or its failure is final. Only before any
    output: what people have seen of a reply is never taken back."""

    def __init__(self, spec: ModelSpec, messages: Sequence[Message], tools: Sequence[Tool], models: Models):
        self.has_output = False
        self._spec = spec
        self._messages = messages
        self._tools = tools
        self._models = models
        self._quirks = models.quirks(spec)
        self._learnt: dict[Quirk, Failure] = {}
        self._retries = 0
        self._was_empty = False

    def body(self) -> dict[str, Any]:
        return request_body(self._spec, self._messages, self._tools, self._quirks)

    def notices(self) -> list[Notice]:
        """What people should know of the answer that begins now."""
        notices = []
        if self._tools:
            notices += self._notice(Quirk.NO_TOOLS, "tools_unsupported", "takes no tools, so it answers without them.")
        if any(isinstance(message, UserMessage) and message.images for message in self._messages):
            text = "takes no images, so it answers without seeing them."
            notices += self._notice(Quirk.NO_IMAGES, "images_unsupported", text)
        return notices

    def _notice(self, quirk: Quirk, code: str, text: str) -> list[Notice]:
        """That the model “…” is asked differently, and why, where that was learnt just now."""
        if quirk not in self._quirks:
            return []
        reason = f" {self._learnt[quirk].error.message}" if quirk in self._learnt else ""
        return [Notice(code, f"The model “{self._spec.model}” {text}{reason}")]

    async def recover(self, failure: Failure) -> None:
        """Make the next attempt possible, after a pause where that helps.

        Raises:
            RunError: the failure is final.
        """
        if self.has_output:
            raise failure.error from None
        if quirk := adaptation(failure, self.body(), self._quirks):
            self._quirks.add(quirk)
            self._learnt[quirk] = failure
            return
        delay = retry_delay(failure, self._retries, random.random())
        if delay is None:
            raise failure.error from None
        self._retries += 1
        await asyncio.sleep(delay)

    def recover_from_nothing(self, finish_reason: str) -> None:
        """Allow one more attempt after a reply that said nothing.

        Raises:
            ModelEmpty: there was one already, or people have seen the model think.
        """
        if self.has_output or self._was_empty:
            raise ModelEmpty(
                f"The model “{self._spec.model}” at {host_of(self._spec)} ended its reply without an answer (finish"
                f" reason: {finish_reason}). Try again, or choose another model for this assistant."
            )
        self._was_empty = True

    def succeeded(self) -> None:
        """What was tried differently has worked: do it from now on, where it was not about this one request."""
        takes_tools = self._models.takes_tools(self._spec)
        for quirk, failure in self._learnt.items():
            if is_lasting(quirk, failure, takes_tools):
                self._models.remember(quirk, self._spec)
        if self._tools and Quirk.NO_TOOLS not in self._quirks:
            self._models.took_tools(self._spec)


# The connection


def _new_client(spec: ModelSpec, transport: httpx2.AsyncBaseTransport | None) -> openai.AsyncOpenAI:
    """The SDK's client over `transport`; None: httpx2's own."""
    key = spec.api_key.strip()  # pasted keys bring a newline
    if not (key.isascii() and key.isprintable()):
        raise ModelRejectedKey("The API key of the provider has characters that no key has. Enter it again.")
    http = httpx2.AsyncClient(
        verify=_ssl_context(),
        follow_redirects=False,  # neither the key nor the conversation goes where nobody has sent them
        transport=transport,
    )
    try:
        return openai.AsyncOpenAI(
            base_url=spec.base_url.strip(),
            api_key=key or "none",  # it insists on one; `_options` keeps it from being sent
            max_retries=0,  # ours know whether there was output
            # From the environment it would tell any provider of OpenAI's own organisations.
            default_headers={"OpenAI-Organization": openai.omit, "OpenAI-Project": openai.omit},
            http_client=http,
        )
    except httpx2.InvalidURL as problem:
        raise failure_of(problem, spec).error from None


def _pinned() -> PinnedTransport:
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=100, keepalive_expiry=KEEPALIVE_S)
    return PinnedTransport(verify=_ssl_context(), limits=limits)


def _quick() -> AiohttpTransport:
    return AiohttpTransport(ssl=_ssl_context(), keepalive=KEEPALIVE_S)


@cache
def _ssl_context() -> SSLContext:
    """One for all: loading the certificates takes 20 ms and more."""
    return httpx2.create_ssl_context()


def _options(spec: ModelSpec) -> dict[str, Any]:
    """A request's own options for the SDK: how long nothing may come, and no key where there is none."""
    timeout = httpx2.Timeout(spec.timeout, connect=min(spec.timeout, CONNECT_TIMEOUT_S), pool=None)
    return {"timeout": timeout, "headers": {} if spec.api_key.strip() else {"Authorization": openai.omit}}


@asynccontextmanager
async def _opened(client: openai.AsyncOpenAI, spec: ModelSpec, body: dict[str, Any]) -> AsyncIterator[httpx2.Response]:
    """The response to a chat request, its body still to come. Leaving closes the connection at once, unless the body
    was read to its end."""
    response = await client.post(
        "/chat/completions",
        body=body,
        cast_to=httpx2.Response,
        options=_options(spec),
        stream=True,
        stream_cls=openai.AsyncStream[object],
    )
    try:
        yield response
    finally:
        await response.aclose()


def _scope(quirk: Quirk, spec: ModelSpec) -> tuple[str, str, Quirk]:
    """What a quirk is about: usage is a matter of the server, the others of the model."""
    return spec.base_url, "" if quirk is Quirk.NO_USAGE else spec.model, quirk


# The response


async def _next(frames: AsyncIterator[dict[str, Any]], reply: Accumulator) -> dict[str, Any] | None:
    """The next frame of `reply`; None behind its last one."""
    if not reply.finish_reason:
        return await anext(frames, None)
    if reply.finish_reason in GAVE_UP:
        raise GaveUp(reply.finish_reason)
    with suppress(TimeoutError):
        async with asyncio.timeout(LAST_WORDS_S):
            return await anext(frames, None)
    return None


async def _frames(response: httpx2.Response) -> AsyncIterator[dict[str, Any]]:
    """The chunks of a reply; what comes in their place is raised."""
    async with aclosing(_bounded(response.aiter_bytes())) as body:
        start = await _start_of(body)
        match start.lstrip()[:1]:  # what it is, its first character says more reliably than its content type
            case b"<":
                raise Unusable("answered with a web page. Check the provider's base URL; it often ends with /v1.")
            case b"{" | b"[":  # an error after all, or a server that does not stream
                yield _parsed(b"".join([start, *[piece async for piece in body]]))
            case _:
                async with aclosing(_events(start, body, response.request)) as frames:
                    async for frame in frames:
                        yield frame


async def _bounded(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The pieces of a body that has an end."""
    size = 0
    async for piece in body:
        size += len(piece)
        if size > MAX_REPLY_BYTES:
            raise Unusable("does not stop answering. Choose another model.")
        yield piece


async def _start_of(body: AsyncIterator[bytes]) -> bytes:
    """The first bytes that are more than white space."""
    start = b""
    async for piece in body:
        start += piece
        if start.strip():
            break
    return start


async def _events(
    start: bytes, rest: AsyncIterator[bytes], request: httpx2.Request
) -> AsyncIterator[dict[str, Any]]:
    """The chunks in server-sent events. They are UTF-8, whatever the response says; what stands behind the last blank
    line is a chunk where it is whole."""
    has_ended = False

    async def body() -> AsyncIterator[bytes]:
        nonlocal has_ended
        yield start
        async for piece in rest:
            yield piece
        has_ended = True
        yield b"\n\n"

    headers = {"Content-Type": "text/event-stream; charset=utf-8"}
    source = httpx2.EventSource(httpx2.Response(200, headers=headers, content=body(), request=request), MAX_EVENT_BYTES)
    has_begun = False
    async with aclosing(aiter(source)) as events:
        async for event in events:
            if event.data.startswith("[DONE]"):
                await _drain(events)
                return
            if event.data:  # an event without data keeps a connection alive
                if event.event == "error":
                    raise ErrorFrame(_error_in(event.data))
                has_begun = True
                if has_ended and _json(event.data) is None:  # torn off
                    break
                yield _parsed(event.data)
    if has_begun:
        raise EndedEarly


async def _drain(events: AsyncIterator[httpx2.ServerSentEvent]) -> None:
    """Wait a moment for the end of a body whose last event has come."""
    with suppress(TimeoutError, *BROKEN):
        async with asyncio.timeout(DRAIN_TIMEOUT_S):
            await anext(events, None)


def _parsed(data: str | bytes) -> dict[str, Any]:
    frame = _json(data)
    if isinstance(frame, list) and len(frame) == 1:  # Gemini puts its errors into a list
        frame = frame[0]
    if not isinstance(frame, dict):
        raise Unusable("sent something that is not a chat completion. Check the provider's base URL.")
    error = frame.get("error")
    if error or (error is not None and "choices" not in frame):
        raise ErrorFrame(error)
    if frame.get("object") == "error":  # vLLM, Mistral: the frame itself is the error
        raise ErrorFrame(frame)
    return frame


def _error_in(data: str) -> Any:
    """What an event that is called an error says."""
    said = _json(data)
    if isinstance(said, dict):
        return said.get("error") or said
    return said or data


def _too_many_calls(excess: int) -> Notice:
    text = f"The model wanted {MAX_CALLS + excess:,} calls at once: only the first {MAX_CALLS} of them are made."
    return Notice("too_many_calls", text)


def _fed(reply: Accumulator, frame: dict[str, Any]) -> list[Chunk | Reasoning]:
    """What is new for people in `frame`."""
    try:
        return reply.feed(frame)
    except (AttributeError, KeyError, IndexError, TypeError):
        raise Unusable("sent a reply whose form is not a chat completion's. Choose another model.") from None


def _model_names(content: bytes) -> list[str]:
    listing = _json(content)
    rows = listing
    if isinstance(listing, Mapping):
        if error := listing.get("error"):
            raise ErrorFrame(error)
        rows = listing.get("data")
    if not isinstance(rows, list):
        raise Unusable("answered without a list of models. Check the provider's base URL; it often ends with /v1.")
    return sorted(str(row["id"]) for row in rows if isinstance(row, Mapping) and row.get("id"))


def _json(data: str | bytes) -> Any:
    """The value, or None where it is no JSON."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None
