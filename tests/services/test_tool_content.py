"""What a tool returned, for the model and for people."""

import json

from mcp_types import CallToolResult, ImageContent, TextContent

from services.messages import ToolPart
from services.tool_content import PART_MAX_CHARS, to_output
from tests.fakes.mcp_servers import PIXEL


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


def test_q37_structured_data_beside_text_is_not_said_twice():
    output = to_output(result(text('{"a": 1}'), structured_content={"a": 1}))
    assert output.text == '{"a": 1}'
    assert json.loads(output.parts[0].data) == {"a": 1}


def test_q37_every_kind_is_described_for_the_model_and_kept_for_people():
    output = to_output(CallToolResult.model_validate({"content": [
        {"type": "text", "text": "See:"},
        {"type": "image", "data": PIXEL, "mimeType": "image/png"},
        {"type": "audio", "data": PIXEL, "mimeType": "audio/wav"},
        {"type": "resource_link", "name": "manual", "uri": "https://example.com/m", "description": "how to"},
        {"type": "resource", "resource": {"uri": "file:///notes.txt", "text": "embedded words"}},
        {"type": "resource", "resource": {"uri": "file:///scan.pdf", "mimeType": "application/pdf", "blob": PIXEL}},
    ]}))
    assert output.text.splitlines() == [
        "See:",
        "[image: image/png, 72 bytes, shown to the person]",
        "[audio: audio/wav, 72 bytes, shown to the person]",
        "[link: manual <https://example.com/m>: how to]",
        "[resource <file:///notes.txt>]",
        "embedded words",
        "[file <file:///scan.pdf>: application/pdf, 72 bytes, shown to the person]",
    ]
    assert output.parts == (
        ToolPart("image", "image/png", PIXEL),
        ToolPart("audio", "audio/wav", PIXEL),
        ToolPart("link", "", uri="https://example.com/m", name="manual"),
        ToolPart("file", "application/pdf", PIXEL, "file:///scan.pdf", "scan.pdf"),
    )
    assert PIXEL not in output.text


def test_q36_a_part_that_is_too_large_is_only_described():
    image = ImageContent(type="image", data="A" * (PART_MAX_CHARS + 4), mime_type="image/png")
    output = to_output(result(image))
    assert output.parts == ()
    assert output.text.endswith("too large to be shown]")
