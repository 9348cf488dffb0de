"""The decisions about failures as tables, and what cannot be had from a scripted server."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx2
import openai
import pytest

from services.errors import ModelRateLimited, ModelRefused, ModelRejectedKey, ModelUnreachable
from services.llm_failures import (
    MAX_RETRIES,
    ErrorFrame,
    Failure,
    Quirk,
    adaptation,
    failure_of,
    host_of,
    is_lasting,
    retry_delay,
)
from services.specs import ModelSpec

SPEC = ModelSpec("https://user:secret@models.example:8443/v1?token=secret", "m", "sk-secret-0123456789")
ERROR = ModelRefused("")


def passing(**changes):
    return Failure(ERROR, **{"status": 503, "may_pass": True, **changes})


def answered(status, headers=(), body=None):
    request = httpx2.Request("POST", "https://models.example/v1/chat/completions")
    response = httpx2.Response(status, headers=dict(headers), request=request)
    return failure_of(openai.APIStatusError("", response=response, body=body), SPEC)


@pytest.mark.parametrize(("failure", "retries", "luck", "delay"), [
    (passing(), 0, 0.0, 0.5), (passing(), 1, 0.0, 1.0), (passing(), 2, 0.0, 2.0), (passing(), MAX_RETRIES, 0.0, None),
    (passing(), 1, 0.8, 0.8), (passing(retry_after=7.0), 1, 0.8, 7.0), (passing(retry_after=0.0), 2, 0.0, 0.0),
    (passing(retry_after=30.0), 0, 0.0, 30.0), (passing(retry_after=31.0), 0, 0.0, None),
    (passing(retry_after=1.0), MAX_RETRIES, 0.0, None), (Failure(ERROR, 400), 0, 0.0, None),
])
def test_q24_the_delay_doubles_gives_way_to_retry_after_and_ends(failure, retries, luck, delay):
    assert retry_delay(failure, retries, luck) == delay


@pytest.mark.parametrize(("status", "may_pass"), [
    (400, False), (401, False), (403, False), (404, False), (408, True), (409, False), (422, False), (429, True),
    (500, True), (502, True), (503, True), (504, True), (529, True),
])
def test_q24_only_what_may_pass_by_itself_is_retried(status, may_pass):
    assert answered(status).may_pass is may_pass


@pytest.mark.parametrize(("headers", "seconds"), [
    ({}, None), ({"Retry-After": "7"}, 7.0), ({"Retry-After": "1.5"}, 1.5), ({"Retry-After": "-1"}, 0.0),
    ({"Retry-After-Ms": "250", "Retry-After": "1"}, 0.25), ({"Retry-After": "soon"}, None), ({"Retry-After": ""}, None),
])
def test_q24_retry_after_is_read_in_seconds_and_milliseconds(headers, seconds):
    assert answered(429, headers).retry_after == seconds


def test_q24_retry_after_may_be_a_date():
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
    assert 15 < answered(429, {"Retry-After": date}).retry_after <= 20


FULL = {"stream_options": {}, "tools": [{}]}
SHOWN = {"tools": [{}], "messages": [{"role": "user", "content": [{"type": "text"}, {"type": "image_url"}]}]}
TOLD = {"messages": [{"role": "user"}, {"role": "assistant"}, {"role": "tool"}]}


@pytest.mark.parametrize(("status", "said", "body", "quirk"), [
    (400, "Unrecognized request argument supplied: stream_options", FULL, Quirk.NO_USAGE),
    (400, "unknown field include_usage", FULL, Quirk.NO_USAGE),
    (400, "stream_options", {"tools": [{}]}, Quirk.NO_TOOLS),
    (400, "stream_options", {}, None),
    (500, "stream_options", FULL, None),
    (400, "Missing `reasoning_content` field", FULL, Quirk.ECHO_REASONING),
    (400, "Function call is missing a thought_signature in functionCall parts", FULL, Quirk.ECHO_EXTRA),
    (400, "Tool call id was call_7 but must be a-z, A-Z, 0-9, with a length of 9.", FULL, Quirk.SHORT_IDS),
    (400, "Invalid 'messages[1].tool_calls[0].id': string too long.", FULL, Quirk.SHORT_IDS),
    (400, "The toolConfig field must be defined when using toolUse", TOLD, Quirk.CALLS_AS_TEXT),
    (400, "context_length_exceeded", TOLD, None),
    (400, '"auto" tool choice requires --enable-auto-tool-choice', FULL, Quirk.NO_TOOLS),
    (400, "", FULL, Quirk.NO_TOOLS),
    (400, "This model's maximum context length is 8192: context_length_exceeded", FULL, None),
    (404, "No endpoints found that support tool use", FULL, Quirk.NO_TOOLS),
    (404, "The model `tool-bot` does not exist", FULL, None),
    (500, "tools param requires --jinja flag", FULL, Quirk.NO_TOOLS),
    (500, "Failed to parse tool call", FULL, None),
    (401, "tools are not supported", FULL, None),
    (400, "This model does not support image input", SHOWN, Quirk.NO_IMAGES),
    (400, "messages[0]: unknown variant `image_url`, expected `text`", SHOWN, Quirk.NO_IMAGES),
    (400, "m is not a multimodal model", SHOWN, Quirk.NO_IMAGES),
    (422, "'messages.0.content' must be a string", SHOWN, Quirk.NO_IMAGES),
    (500, "image input is not supported - hint: you may need to provide the mmproj", SHOWN, Quirk.NO_IMAGES),
    (404, "No endpoints found that support image input", SHOWN, Quirk.NO_IMAGES),
    (400, "This model does not support image input", FULL, Quirk.NO_TOOLS),
    (400, "Bad request", SHOWN, Quirk.NO_TOOLS),
    (500, "Internal error", SHOWN, None),
    (401, "image input is not supported", SHOWN, None),
    (None, "tools are not supported", FULL, None),
])
def test_a_request_is_changed_on_evidence_only(status, said, body, quirk):
    assert adaptation(Failure(ERROR, status, said=said), body, ()) is quirk


@pytest.mark.parametrize(("said", "quirk"), [
    ("reasoning_content is too short", Quirk.ECHO_REASONING), ("Corrupted thought_signature", Quirk.ECHO_EXTRA),
    ("Unknown tool_call_id", Quirk.SHORT_IDS),
])
def test_what_was_changed_already_is_not_the_remedy(said, quirk):
    assert adaptation(Failure(ERROR, 400, said=said), {}, {quirk}) is None


@pytest.mark.parametrize(("body", "kind", "may_pass"), [
    ({"type": "overloaded_error", "message": "Overloaded"}, ModelRefused, True),
    ({"code": "rate_limit_exceeded", "message": "Slow down"}, ModelRateLimited, True),
    ({"code": 503, "status": "UNAVAILABLE"}, ModelRefused, True),
    ({"type": "authentication_error"}, ModelRejectedKey, False),
    ({"code": "invalid_api_key"}, ModelRejectedKey, False),
    ({"type": "invalid_request_error"}, ModelRefused, False),
    ("overloaded", ModelRefused, False),
])
def test_q14_an_error_in_a_success_means_what_it_would_mean_outside(body, kind, may_pass):
    failure = failure_of(ErrorFrame(body), SPEC)
    assert (type(failure.error), failure.may_pass) == (kind, may_pass)


def test_an_error_in_a_list_is_quoted_as_the_error_that_it_is():
    assert answered(400, body=[{"error": {"message": "Bad key"}}]).error.message.endswith("It says: “Bad key”")


@pytest.mark.parametrize(("quirk", "said", "takes_tools", "lasts"), [
    (Quirk.NO_TOOLS, "tools are not supported", False, True), (Quirk.NO_TOOLS, "Bad request", False, True),
    (Quirk.NO_TOOLS, "Invalid schema for function 'f'", False, False),
    (Quirk.NO_TOOLS, "tool_use_failed", False, False),
    (Quirk.NO_TOOLS, "Bad request", True, False), (Quirk.NO_TOOLS, "tools are not supported", True, True),
    (Quirk.NO_USAGE, "schema: stream_options", True, True),
    (Quirk.NO_IMAGES, "This model does not support image input", False, True),
    (Quirk.NO_IMAGES, "At most 0 image(s) may be provided in one request", False, True),
    (Quirk.NO_IMAGES, "At most 1 image(s) may be provided in one request", False, False),
    (Quirk.NO_IMAGES, "Could not process image", False, False),
    (Quirk.NO_IMAGES, "You uploaded an unsupported image.", False, False),
    (Quirk.NO_IMAGES, "The image is too large", False, False),
])
def test_a_change_lasts_unless_it_was_about_this_request(quirk, said, takes_tools, lasts):
    assert is_lasting(quirk, Failure(ERROR, 400, said=said), takes_tools) is lasts


def test_a_certificate_that_cannot_be_trusted_is_said_and_not_tried_again():
    failure = failure_of(httpx2.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed"), SPEC)
    assert (type(failure.error), failure.may_pass) == (ModelUnreachable, False)
    assert "certificate" in failure.error.message


def test_a_provider_is_named_without_what_is_secret_in_its_address():
    assert host_of(SPEC) == "models.example:8443"
    assert "secret" not in answered(500, body={"message": f"from {SPEC.api_key}"}).error.message


def test_an_exhausted_quota_does_not_pass_by_itself():
    assert answered(429, body={"code": "insufficient_quota", "message": "Pay"}).may_pass is False
