"""What can go wrong with a model's provider: what it means, what is done about it, and how people are told.

All of it is pure: `failure_of` reads an exception, `retry_delay` and `adaptation` decide. `llm`, above, acts. No text
made here contains a key or more of an address than people need to recognise it.
"""

import json
import re
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import Enum
from ssl import SSLError
from typing import Any

import anyio
import httpx2
import openai

from .errors import (
    ModelRateLimited,
    ModelRefused,
    ModelRejectedKey,
    ModelTimeout,
    ModelUnreachable,
    NotConfigured,
    RunError,
)
from .redaction import MARK, redacted
from .specs import ModelSpec
from .url_guard import UrlRefused

MAX_RETRIES = 3
FIRST_DELAY_S = 0.5
MAX_RETRY_AFTER_S = 30.0  # a provider that wants more is better shown to people than waited for
MAX_QUOTE = 300  # characters of a provider's own words in a message of ours


class Quirk(Enum):
    """How a server wants to be asked, where that differs from what is tried first."""

    NO_USAGE = "without `stream_options`"
    NO_TOOLS = "without `tools`"
    NO_IMAGES = "without images"
    ECHO_REASONING = "with the reasoning that led to its earlier calls"
    ECHO_EXTRA = "with what it had added to its earlier calls"
    SHORT_IDS = "with ids of nine letters and digits"
    CALLS_AS_TEXT = "with earlier calls told as text where no tools are offered"


class Unusable(Exception):
    """An answer that is no chat completion; the text continues "The model provider at …"."""


class ErrorFrame(Unusable):
    """The provider's own error inside of a success."""

    def __init__(self, body: Any):
        super().__init__("reported an error.")
        self.body = body


class GaveUp(Unusable):
    """A reply that the provider ended before the model had."""

    def __init__(self, reason: str):
        super().__init__(f"gave up in the middle of its reply (finish reason: {reason}). Try again.")


class EndedEarly(Exception):
    """The stream ended like a complete one, but nothing in it said that the reply is."""


# No more will come.
BROKEN = (httpx2.RequestError, httpx2.InvalidURL, SSLError, UrlRefused, anyio.EndOfStream, EndedEarly)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a request came to nothing: for people the error, for the decisions what is known about it."""

    error: RunError
    status: int | None = None  # of HTTP, also where a 200 carried it in its body
    may_pass: bool = False  # the same request may succeed a little later
    retry_after: float | None = None  # seconds, where the provider names them
    said: str = ""  # the provider's own words, in full


# Decisions

_NAMES_USAGE = re.compile(r"stream_options|include_usage")
_NAMES_IDS = re.compile(r"tool.?call.?id|tool_calls\[\d+\]\.id", re.IGNORECASE)
_HAS_NO_TOOLS = re.compile(
    r"tools? param|(support|implement).*\btool|\b(tool|function)s?\b.*(support|implement|requires|enabled|allowed)",
    re.IGNORECASE,
)
_NAMES_IMAGES = re.compile(r"\bimage|image_url|vision|multi-?modal|content.*must be a (valid )?string", re.IGNORECASE)
_ABOUT_ONE_IMAGE = re.compile(
    r"format|too (large|many)|size|process|download|fetch|decode|corrupt|(invalid|unsupported) image|at most [1-9]",
    re.IGNORECASE,
)
_ABOUT_LENGTH = re.compile(r"context_length|context length|context window|too long|too many tokens", re.IGNORECASE)
_ABOUT_ONE_CALL = re.compile(r"schema|invalid_function_parameters|tool_use_failed", re.IGNORECASE)


def retry_delay(failure: Failure, retries: int, luck: float) -> float | None:
    """Seconds until the same request is sent again, after `retries` times already; None: it is not.

    Only where it may pass by itself: no connection, 408, 429 (unless a quota is used up) and 5xx. Not after a stall,
    which has already cost the whole deadline. Three times, after 0.5 · 2^retries seconds (0.5, 1, 2), or what
    `Retry-After` says; more than 30 s is final. `luck` in [0, 1) takes up to a quarter off our own delays, so
    that a thousand runs that failed together don't come back together.
    """
    if not failure.may_pass or retries >= MAX_RETRIES:
        return None
    if failure.retry_after is not None:
        return failure.retry_after if failure.retry_after <= MAX_RETRY_AFTER_S else None
    return FIRST_DELAY_S * 2**retries * (1 - luck / 4)


def adaptation(failure: Failure, body: Mapping[str, Any], quirks: Collection[Quirk]) -> Quirk | None:
    """What to change in a request that was refused; None: nothing that would help.

    The evidence is what the server says of it: the name of the option. Where it refuses a request with tools (400, 422)
    and names none of the others, the tools are tried: if it works without them, they were the reason. With other
    statuses it has to say so (llama.cpp: 500; OpenRouter: 404), and of images always. Where it refuses one without
    tools, earlier calls are tried: some servers want their tools defined, others know no calls at all.
    """
    is_refusal = failure.status in (400, 422)
    if is_refusal and (quirk := _named(failure.said, body)) and quirk not in quirks:
        return quirk
    if _ABOUT_LENGTH.search(failure.said):
        return None
    is_unable = failure.status in (404, 500, 501)
    if (is_refusal or is_unable) and _NAMES_IMAGES.search(failure.said) and _shows_images(body):
        return Quirk.NO_IMAGES
    if "tools" in body:
        has_no_tools = is_unable and _HAS_NO_TOOLS.search(failure.said)
        return Quirk.NO_TOOLS if is_refusal or has_no_tools else None
    if is_refusal and any(message["role"] == "tool" for message in body.get("messages", ())):
        return Quirk.CALLS_AS_TEXT
    return None


def _named(said: str, body: Mapping[str, Any]) -> Quirk | None:
    """The change that the server's own words ask for."""
    if "stream_options" in body and _NAMES_USAGE.search(said):
        return Quirk.NO_USAGE
    if "reasoning_content" in said:  # DeepSeek, Moonshot
        return Quirk.ECHO_REASONING
    if "thought_signature" in said:  # Gemini
        return Quirk.ECHO_EXTRA
    if _NAMES_IDS.search(said):  # Mistral; OpenAI, where they are longer than its own
        return Quirk.SHORT_IDS
    return None


def _shows_images(body: Mapping[str, Any]) -> bool:
    return any(isinstance(message.get("content"), list) for message in body.get("messages", ()))


def is_lasting(quirk: Quirk, failure: Failure, takes_tools: bool = False) -> bool:
    """Whether a change that helped once is made from now on: not if only this request's images, tools or calls were
    bad, which is certain of a model that took tools before (`takes_tools`) and does not say that it has none."""
    match quirk:
        case Quirk.NO_IMAGES:
            return not _ABOUT_ONE_IMAGE.search(failure.said)
        case Quirk.NO_TOOLS if takes_tools and not _HAS_NO_TOOLS.search(failure.said):
            return False
        case Quirk.NO_TOOLS:
            return not _ABOUT_ONE_CALL.search(failure.said)
        case _:
            return True


# Meaning


def failure_of(problem: Exception, spec: ModelSpec) -> Failure:
    """Say what an exception of the SDK, of the connection or of the stream means."""
    host = host_of(spec)
    if isinstance(problem, openai.APIConnectionError):
        problem = problem.__cause__ or problem
    match problem:
        case openai.APIStatusError(response=response):
            if response.is_redirect:
                return _redirected(response, spec)
            return _answered(problem.status_code, problem.body, spec, _retry_after(response.headers))
        case ErrorFrame(body=body):
            return _answered(_status_in(body), body, spec)
        case Unusable():
            error = ModelRefused(f"The model provider at {host} {problem}")
            return Failure(error, may_pass=isinstance(problem, GaveUp))
        case UrlRefused() | httpx2.InvalidURL() | httpx2.UnsupportedProtocol():
            return Failure(_wrong_url(problem, host))
        case httpx2.ConnectError() if "CERTIFICATE" in str(problem):
            text = f"The certificate of the model provider at {host} cannot be trusted. Check the provider's base URL."
            return Failure(ModelUnreachable(text))
        case httpx2.ConnectError() | httpx2.ConnectTimeout():
            text = f"The model provider at {host} cannot be reached."
            advice = "Check that it is running, and the provider's base URL."
            return Failure(ModelUnreachable(f"{text} {advice}"), may_pass=True)
        case httpx2.TimeoutException():
            text = f"The model provider at {host} sent nothing for {spec.timeout:g} seconds."
            return Failure(ModelTimeout(f"{text} Try again, or raise the provider's timeout."))
        case httpx2.SSEError():
            return Failure(ModelRefused(f"The model provider at {host} sent more in one piece than can be taken in."))
        case _:
            text = f"The connection to the model provider at {host} broke before the reply was complete. Try again."
            return Failure(ModelUnreachable(text), may_pass=True)


def _answered(status: int | None, body: Any, spec: ModelSpec, retry_after: float | None = None) -> Failure:
    """What an error with this status means; the provider's own words are quoted after ours."""
    if isinstance(body, list) and len(body) == 1 and isinstance(body[0], Mapping):  # Gemini
        body = body[0].get("error", body[0])
    said = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
    kind, text = _explanation(status, spec)
    error = kind(f"The model provider at {host_of(spec)} {text}{_quote(body, spec)}")
    may_pass = status is not None and (status in (408, 429) or status >= 500) and "insufficient_quota" not in said
    return Failure(error, status, may_pass, retry_after, said)


def _explanation(status: int | None, spec: ModelSpec) -> tuple[type[RunError], str]:
    match status:
        case None:
            return ModelRefused, "reported an error. Try again, or choose another model."
        case 401 | 403:
            text = f"did not accept the API key ({status})."
            return ModelRejectedKey, f"{text} Check the API key of the provider, and what it is allowed to do."
        case 404 if not spec.model:
            return ModelRefused, "has nothing here (404). Check the provider's base URL; it often ends with /v1."
        case 404:
            text = f"has no model “{spec.model}”, or has nothing at this address (404)."
            return ModelRefused, f"{text} Check the assistant's model and the provider's base URL."
        case 408:
            return ModelTimeout, "gave up waiting (408). Try again."
        case 429:
            text = "takes no more requests for now (429). Try again later, or check the limits of the account there."
            return ModelRateLimited, text
        case int() if status >= 500:
            return ModelRefused, f"has a problem of its own ({status}). Try again later."
        case _:
            return ModelRefused, f"refused the request ({status}). Check the assistant's model and settings."


def _wrong_url(problem: Exception, host: str) -> NotConfigured:
    if isinstance(problem, UrlRefused):
        return NotConfigured(f"The model provider at {host} cannot be used. {problem}")
    return NotConfigured("The base URL of the provider is not a web address. It looks like https://…/v1.")


def _redirected(response: httpx2.Response, spec: ModelSpec) -> Failure:
    """A redirect is shown, not followed: neither the key nor the conversation goes where nobody has sent them."""
    target = "another address"
    with suppress(httpx2.InvalidURL, KeyError):
        url = response.url.join(response.headers["location"])
        target = f"{url.scheme}://{_place(url)}{url.path}".removesuffix("/chat/completions").removesuffix("/models")
    target = redacted(target, _secrets_of(spec))
    text = f"The model provider at {host_of(spec)} redirects to {target}, which was not followed."
    return Failure(ModelRefused(f"{text} If it is right, make it the provider's base URL."), response.status_code)


# Words


def host_of(spec: ModelSpec) -> str:
    """The provider's host, and its port where it is named: what people know it by, and nothing secret."""
    try:
        return _place(httpx2.URL(spec.base_url.strip())) or "its address"
    except httpx2.InvalidURL:
        return "its address"


def _place(url: httpx2.URL) -> str:
    return url.netloc.decode("ascii")  # without user and password


def _secrets_of(spec: ModelSpec) -> tuple[str, ...]:
    return tuple(filter(None, [spec.api_key.strip()]))


_KEYS = re.compile(r"\b(?:sk|pk|gsk|xai|key)-[\w*.-]{6,}|\bBearer\s+\S+", re.IGNORECASE)


def _quote(body: Any, spec: ModelSpec) -> str:
    """The provider's own short message, without any key in it; empty where it gave none."""
    message = body
    if isinstance(body, Mapping):
        message = body.get("message") or body.get("detail") or body.get("error") or ""
    text = message if isinstance(message, str) else json.dumps(message, ensure_ascii=False)
    if not text.strip() or text.lstrip().startswith("<"):  # a web page says nothing to people
        return ""
    text = redacted(text, _secrets_of(spec))
    text = " ".join(_KEYS.sub(MARK, text).split())
    text = "".join(character for character in text if character.isprintable())
    return f" It says: “{text if len(text) <= MAX_QUOTE else text[:MAX_QUOTE] + '…'}”"


_STATUS_OF_WORDS = {"rate_limit": 429, "overloaded": 503, "authentication": 401, "api_key": 401, "permission": 403}


def _status_in(body: Any) -> int | None:
    """The status that an error inside of a 200 names, as a number or in words (`overloaded_error`)."""
    if not isinstance(body, Mapping):
        return None
    named = [str(body.get(key) or "") for key in ("code", "status", "type")]
    numbers = (int(name) for name in named if re.fullmatch(r"[45]\d\d", name))
    words = (status for name in named for word, status in _STATUS_OF_WORDS.items() if word in name.lower())
    return next(numbers, None) or next(words, None)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """How many seconds the provider wants to be left alone; None where it does not say."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        with suppress(KeyError, ValueError):
            return max(0.0, float(headers[name]) * unit)
    with suppress(KeyError, ValueError, TypeError):
        return max(0.0, parsedate_to_datetime(headers["retry-after"]).timestamp() - time.time())
    return None
