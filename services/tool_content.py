"""What an MCP tool returned, as text for the model and as parts for people. Pure; lengths are `tools`' affair."""

import json
from typing import Any

from mcp_types import (
    AudioContent,
    BlobResourceContents,
    CallToolResult,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
)

from .messages import ToolPart
from .tools import ToolOutput

PART_MAX_CHARS = 8 * 1024 * 1024  # of base64: six megabytes of image are as much as a conversation should carry


def to_output(result: CallToolResult) -> ToolOutput:
    """The result of a call, also of one that failed in the tool."""
    texts: list[str] = []
    parts: list[ToolPart] = []
    for block in result.content:
        text, part = _read(block)
        texts.append(text)
        if part is not None and len(part.data) <= PART_MAX_CHARS:
            parts.append(part)
    if result.structured_content is not None:
        data = json.dumps(result.structured_content, ensure_ascii=False)
        if not texts:  # servers are asked to send the data as text, too; not all do
            texts.append(data)
        parts.append(ToolPart("structured", "application/json", data))
    nothing = "The tool failed without a message." if result.is_error else "The tool returned nothing."
    return ToolOutput("\n".join(texts) or nothing, is_error=bool(result.is_error), parts=tuple(parts))


def _read(block: Any) -> tuple[str, ToolPart | None]:
    match block:
        case TextContent():
            return block.text, None
        case ImageContent():
            return _described("image", block.mime_type, block.data), ToolPart("image", block.mime_type, block.data)
        case AudioContent():
            return _described("audio", block.mime_type, block.data), ToolPart("audio", block.mime_type, block.data)
        case ResourceLink():
            return _read_link(block)
        case EmbeddedResource():
            return _read_resource(block.resource)
        case _:
            return f"[content of an unknown type: {getattr(block, 'type', '?')}]", None


def _read_link(link: ResourceLink) -> tuple[str, ToolPart]:
    uri, name = str(link.uri), link.title or link.name
    about = f": {link.description}" if link.description else ""
    return f"[link: {name} <{uri}>{about}]", ToolPart("link", link.mime_type or "", uri=uri, name=name)


def _read_resource(resource: Any) -> tuple[str, ToolPart | None]:
    uri, mime_type = str(resource.uri), resource.mime_type or ""
    if not isinstance(resource, BlobResourceContents):
        return f"[resource <{uri}>]\n{resource.text}", None
    name = uri.rstrip("/").rpartition("/")[2]
    kind = "image" if mime_type.startswith("image/") else "file"
    return _described(kind, mime_type, resource.blob, uri), ToolPart(kind, mime_type, resource.blob, uri, name)


def _described(kind: str, mime_type: str, data: str, uri: str = "") -> str:
    size = len(data) * 3 // 4
    shown = "shown to the person" if len(data) <= PART_MAX_CHARS else "too large to be shown"
    where = f" <{uri}>" if uri else ""
    return f"[{kind}{where}: {mime_type or 'unknown type'}, {size} bytes, {shown}]"
