"""What an MCP tool returned, as text for the model and as parts for people. Pure; how much of it is kept is `tools`'
affair."""

import base64
import binascii
import json
import re
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

from .files import UNKNOWN, recognise
from .messages import ToolPart
from .tools import ToolOutput

SAFE_LINK = re.compile(r"(https?://|mailto:)[^\s\x00-\x1f]+", re.IGNORECASE)
LINK_MAX_CHARS = 2000  # what browsers and proxies take

_TYPE = re.compile(r"[\w.+-]{1,60}/[\w.+-]{1,100}", re.ASCII)
_FAMILIES = ("image", "audio")  # of types that are more to people than a file


def to_output(result: CallToolResult) -> ToolOutput:
    """The result of a call, also of one that failed in the tool."""
    texts: list[str] = []
    parts: list[ToolPart] = []
    for block in result.content:
        text, part = _read(block)
        texts.append(text)
        if part is not None:
            parts.append(part)
    if result.structured_content is not None and not _wraps(result.structured_content, texts):
        data = json.dumps(result.structured_content, ensure_ascii=False)
        if not texts:  # servers are asked to send the data as text, too; not all do
            texts.append(data)
        parts.append(ToolPart("structured", "application/json", data))
    nothing = "The tool failed without a message." if result.is_error else "The tool returned nothing."
    return ToolOutput("\n".join(texts) or nothing, is_error=bool(result.is_error), parts=tuple(parts))


def _wraps(data: dict[str, Any], texts: list[str]) -> bool:
    """Whether structured data are only the texts once more: so SDKs send what a function returned that is no object."""
    return bool(texts) and data.keys() == {"result"} and data["result"] in ("\n".join(texts), texts)


def _read(block: Any) -> tuple[str, ToolPart | None]:
    match block:
        case TextContent():
            return block.text, None
        case ImageContent() | AudioContent():
            return _read_file(block.type, block.data, block.mime_type)
        case ResourceLink():
            return _read_link(block)
        case EmbeddedResource(resource=BlobResourceContents() as blob):
            return _read_file("file", blob.blob, blob.mime_type, str(blob.uri))
        case EmbeddedResource(resource=resource):
            return f"[resource <{resource.uri}>]\n{resource.text}", None
        case _:
            return f"[content of an unknown type: {getattr(block, 'type', '?')}]", None


def _read_link(link: ResourceLink) -> tuple[str, ToolPart | None]:
    uri, name = str(link.uri), link.title or link.name
    about = f": {link.description}" if link.description else ""
    is_safe = len(uri) <= LINK_MAX_CHARS and SAFE_LINK.fullmatch(uri)
    part = ToolPart("link", _named_type(link.mime_type), uri=uri, name=name[:LINK_MAX_CHARS]) if is_safe else None
    return f"[link: {name} <{uri}>{about}]", part


def _read_file(announced_as: str, data: str, claimed: str | None, uri: str = "") -> tuple[str, ToolPart | None]:
    """A file is what its bytes say: an "image" that no browser or model takes for one is some file."""
    where = f" <{uri}>" if uri else ""
    content = _decoded(data)
    if not content:
        return f"[{announced_as}{where}: {_named_type(claimed) or 'unknown type'}, cannot be read]", None
    recognised = recognise(content)
    family = recognised.partition("/")[0]
    kind = family if family in _FAMILIES else "file"
    mime_type = recognised or _named_type(claimed) or UNKNOWN
    name = re.split("[?#]", uri)[0].rstrip("/").rpartition("/")[2]  # what follows may be a secret
    part = ToolPart(kind, mime_type, base64.b64encode(content).decode(), uri[:LINK_MAX_CHARS], name)
    return f"[{kind}{where}: {mime_type}, {len(content)} bytes]", part


def _named_type(claimed: str | None) -> str:
    """The type that a server names, without its parameters; empty where that is none."""
    name = (claimed or "").partition(";")[0].strip().lower()
    return name if _TYPE.fullmatch(name) else ""


def _decoded(data: str) -> bytes:
    """The bytes behind base64 as servers write it: in lines, without padding, as a `data:` URL; none where it isn't."""
    plain = "".join(data.rpartition(",")[2].split()).replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""
