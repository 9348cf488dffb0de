"""What a file from a tool really is, and what it may be called. Pure.

Its bytes decide, because its sender's word proves nothing. Recognised are the types that browsers show without
executing anything.
"""

import re
import unicodedata
from pathlib import PurePosixPath
from urllib.parse import unquote

UNKNOWN = "application/octet-stream"
TEXT = "text/plain"
NAME_MAX_CHARS = 100

_SIGNATURES = {
    mime_type: re.compile(beginning, re.DOTALL)
    for mime_type, beginning in {
        "image/png": rb"\x89PNG\r\n\x1a\n",
        "image/jpeg": rb"\xff\xd8\xff",
        "image/gif": rb"GIF8[79]a",
        "image/webp": rb"RIFF....WEBP",
        "audio/wav": rb"RIFF....WAVE",
        "audio/mpeg": rb"ID3|\xff[\xfb\xfa\xf3\xf2]",
        "audio/ogg": rb"OggS",
        "audio/flac": rb"fLaC",
        "audio/mp4": rb"....ftypM4A",
        "video/mp4": rb"....ftyp",
        "video/webm": rb"\x1aE\xdf\xa3",
        "application/pdf": rb"%PDF-",
    }.items()
}
_TAKEN_AT_ITS_WORD = re.compile(  # browsers show these as text, or save them
    r"text/(plain|csv|markdown)"
    r"|application/(json|zip|msword|vnd\.ms-(excel|powerpoint)"
    r"|vnd\.oasis\.opendocument\.\w+|vnd\.openxmlformats-officedocument\.\w+\.\w+)"
)
_EXTENSIONS = {  # the first is added where a name has none of them
    "image/png": (".png",),
    "image/jpeg": (".jpg", ".jpeg"),
    "image/gif": (".gif",),
    "image/webp": (".webp",),
    "audio/wav": (".wav",),
    "audio/mpeg": (".mp3",),
    "audio/ogg": (".ogg", ".oga", ".opus"),
    "audio/flac": (".flac",),
    "audio/mp4": (".m4a",),
    "video/mp4": (".mp4", ".mov", ".m4v"),
    "video/webm": (".webm", ".mkv"),
    "application/pdf": (".pdf",),
    "application/json": (".json",),
}


def recognise(content: bytes) -> str:
    """The type of a file by the way it begins; empty where it is none of those that we know."""
    return next((mime_type for mime_type, beginning in _SIGNATURES.items() if beginning.match(content)), "")


def safe_type(content: bytes, claimed: str) -> str:
    """The type under which a file may be served: one that no browser executes, whatever is in it."""
    if recognised := recognise(content):
        return recognised
    if _TAKEN_AT_ITS_WORD.fullmatch(claimed):
        return claimed
    return TEXT if _is_text(content) else UNKNOWN


def safe_name(name: str, mime_type: str) -> str:
    """`name` as a file may be called on any system: no path, nothing invisible, and it ends as its type wants it."""
    last = re.split(r"[/\\]", unquote(name).rstrip("/\\"))[-1]
    plain = "".join(map(_plain, last)).strip(" .")
    path = PurePosixPath(plain or "file")
    extensions = _EXTENSIONS.get(mime_type) or (path.suffix.lower() or (".txt" if mime_type == TEXT else ""),)
    if path.suffix.lower() in extensions:
        return path.stem[:NAME_MAX_CHARS] + path.suffix[:NAME_MAX_CHARS]
    return path.name[:NAME_MAX_CHARS] + extensions[0]


def _is_text(content: bytes) -> bool:
    try:
        return "\0" not in content.decode()
    except UnicodeDecodeError:
        return False


def _plain(character: str) -> str:
    """Without what has a meaning to file systems, and without what hides or turns round the rest of a name."""
    unsafe = character in '<>:"|?*' or unicodedata.category(character).startswith(("C", "Zl", "Zp"))
    return "_" if unsafe else character
