"""What a tool returned, for the model and for people."""

import base64
import json

import pytest
from mcp_types import CallToolResult, ImageContent, TextContent

from services.messages import ToolPart
from services.tool_content import LINK_MAX_CHARS, to_output
from tests.fakes.mcp_servers import PAGE, PIXEL, TONE

JPEG = base64.b64encode(b"\xff\xd8\xff\xfb\xff\xbf\xff").decode()
SVG = base64.b64encode(b"<svg onload='alert(1)'/>").decode()


def result(*content, **options):
    return CallToolResult(content=list(content), **options)


def text(words):
    return TextContent(type="text", text=words)


def test_texts_are_joined_by_lines():
    assert to_output(result(text("one"), text("two"))).text == "one\ntwo"


def test_q33_an_error_stays_an_error():
    output = to_output(result(text("no paper"), is_error=True))
    assert (output.text, output.is_error) == ("no paper", True)


def test_nothing_is_said_to_be_nothing():
    assert to_output(result()).text == "The tool returned nothing."
    assert to_output(result(is_error=True)).text == "The tool failed without a message."


def test_q37_structured_data_without_text_is_the_models_text():
    output = to_output(result(structured_content={"größe": 3}))
    assert output.text == '{"größe": 3}'
    assert output.parts == (ToolPart("structured", "application/json", '{"größe": 3}'),)


@pytest.mark.parametrize(("texts", "value"), [(["one"], "one"), (["one", "two"], ["one", "two"])])
def test_q37_a_text_that_comes_wrapped_as_data_too_is_no_second_part(texts, value):
    output = to_output(result(*map(text, texts), structured_content={"result": value}))
    assert (output.text, output.parts) == ("\n".join(texts), ())


def test_q37_a_wrapped_value_that_is_more_than_the_text_stays():
    assert to_output(result(text("one"), structured_content={"result": "two"})).parts
    assert to_output(result(structured_content={"result": []})).text == '{"result": []}'


def test_q37_structured_data_beside_text_is_not_said_twice():
    output = to_output(result(text('{"a": 1}'), structured_content={"a": 1}))
    assert output.text == '{"a": 1}'
    assert json.loads(output.parts[0].data) == {"a": 1}


def test_q37_every_kind_is_described_for_the_model_and_kept_for_people():
    output = to_output(CallToolResult.model_validate({"content": [
        {"type": "text", "text": "See:"},
        {"type": "image", "data": PIXEL, "mimeType": "image/png"},
        {"type": "audio", "data": TONE, "mimeType": "audio/wav"},
        {"type": "resource_link", "name": "manual", "uri": "https://example.com/m", "description": "how to"},
        {"type": "resource", "resource": {"uri": "file:///notes.txt", "text": "embedded words"}},
        {"type": "resource", "resource": {"uri": "file:///scan.pdf", "mimeType": "application/pdf", "blob": PAGE}},
    ]}))
    assert output.text.splitlines() == [
        "See:",
        "[image: image/png, 70 bytes]",
        f"[audio: audio/wav, {len(base64.b64decode(TONE))} bytes]",
        "[link: manual <https://example.com/m>: how to]",
        "[resource <file:///notes.txt>]",
        "embedded words",
        f"[file <file:///scan.pdf>: application/pdf, {len(base64.b64decode(PAGE))} bytes]",
    ]
    assert output.parts == (
        ToolPart("image", "image/png", PIXEL),
        ToolPart("audio", "audio/wav", TONE),
        ToolPart("link", "", uri="https://example.com/m", name="manual"),
        ToolPart("file", "application/pdf", PAGE, "file:///scan.pdf", "scan.pdf"),
    )


@pytest.mark.parametrize("announced", ["image/png", "IMAGE/SVG+XML; charset=utf-8"])
def test_q37_an_image_that_no_browser_takes_for_one_is_a_file(announced):
    output = to_output(result(ImageContent(type="image", data=SVG, mime_type=announced)))
    (part,) = output.parts
    assert part.kind == "file"
    assert output.text == f"[file: {announced.partition(';')[0].lower()}, 24 bytes]"


def test_q37_an_image_has_the_type_of_its_bytes_because_models_refuse_it_under_another():
    (part,) = to_output(result(ImageContent(type="image", data=PIXEL, mime_type="image/jpg"))).parts
    assert part == ToolPart("image", "image/png", PIXEL)


@pytest.mark.parametrize("written", [
    f"data:image/jpeg;base64,{JPEG}", JPEG[:4] + "\r\n" + JPEG[4:], JPEG.rstrip("="),
    JPEG.replace("+", "-").replace("/", "_"),
])  # fmt: skip
def test_q37_base64_is_read_as_servers_write_it(written):
    assert written != JPEG
    assert to_output(result(ImageContent(type="image", data=written, mime_type="image/jpeg"))).parts[0].data == JPEG


@pytest.mark.parametrize("data", ["", "not base64!", "ä", "A"])
def test_q37_what_cannot_be_read_is_said_and_nothing_else(data):
    output = to_output(result(ImageContent(type="image", data=data, mime_type="image/png")))
    assert (output.text, output.parts) == ("[image: image/png, cannot be read]", ())


@pytest.mark.parametrize("uri", [
    "javascript:alert(1)", "data:text/html,<script>", "file:///etc/passwd", "https:// spaced", "https://a\nb",
    "vbscript:x", "//evil.example", "https://" + "a" * 2000,
])  # fmt: skip
def test_q37_a_link_that_is_not_safe_to_open_is_only_described(uri):
    output = to_output(CallToolResult.model_validate({"content": [{"type": "resource_link", "name": "x", "uri": uri}]}))
    assert output.parts == ()
    assert output.text == f"[link: x <{uri}>]"


@pytest.mark.parametrize("uri", ["https://example.com/a?b=c#d", "HTTP://example.com", "mailto:ann@example.com"])
def test_q37_a_link_that_is_safe_to_open_is_kept(uri):
    output = to_output(CallToolResult.model_validate({"content": [{"type": "resource_link", "name": "x", "uri": uri}]}))
    assert [part.uri for part in output.parts] == [uri]


@pytest.mark.parametrize(("uri", "name"), [
    ("file:///reports/2026.pdf", "2026.pdf"),
    ("https://example.com/2026.pdf?token=secret#page", "2026.pdf"),
    ("blob://[odd/", "[odd"),
    ("scan", "scan"),
])  # fmt: skip
def test_a_file_is_called_as_its_address_ends(uri, name):
    block = {"type": "resource", "resource": {"uri": uri, "blob": PAGE}}
    (part,) = to_output(CallToolResult.model_validate({"content": [block]})).parts
    assert (part.name, part.uri) == (name, uri)


def test_q36_nothing_that_a_part_says_of_itself_is_long():
    block = {"type": "resource", "resource": {"uri": "x" * 100_000, "mimeType": "a/" + "b" * 100_000, "blob": "AAAA"}}
    (part,) = to_output(CallToolResult.model_validate({"content": [block]})).parts
    assert part.mime_type == "application/octet-stream"
    assert len(part.uri) == LINK_MAX_CHARS
