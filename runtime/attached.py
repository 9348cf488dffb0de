"""What people have attached to the messages of a conversation, as its model gets it: texts, images, or why neither.

Files are read with the rights of the one who asks, at each run anew, the newest first and no more than there is room
for. What a file says is `services.file_text`'s affair.
"""

import base64
from collections import defaultdict
from typing import NamedTuple

from ..services import context, file_text, history
from ..services.events import Notice
from ..services.file_text import Problem, Unread, Unreadable
from ..services.files import recognise

MAX_FILES = 20  # that are looked into for one run; older ones are only named
MAX_TOTAL_BYTES = 32 * 1024 * 1024  # of all of them
MAX_IMAGE_BYTES = context.MAX_IMAGES_CHARS * 3 // 4  # as base64 it is a third longer


class Told(NamedTuple):
    """What a model gets of one file."""

    text: str
    image: str = ""  # a data URL
    notice: str = ""  # the code of what the one who attached it should know
    detail: str = ""  # and how, in their language


class FilesToRead(Exception):
    """There are files that have to be read before: outside of a transaction, for it may take seconds."""

    def __init__(self, contents: list[bytes]) -> None:
        super().__init__(f"{len(contents)} files are to be read first.")
        self.contents = contents


class _Room:
    """What is left for files in the requests of a run."""

    def __init__(self, room):
        self.sees_images = room.sees_images
        self.tokens = room.tokens // 4
        self.files = MAX_FILES
        self.bytes = MAX_TOTAL_BYTES
        self.unread: list[bytes] = []
        self.images = context.MAX_IMAGES
        self.image_chars = context.MAX_IMAGES_CHARS


def read(run, messages, room) -> tuple[dict[int, dict[int, Told]], list[Notice]]:
    """What is told of each file at `messages` of people, by the ids of the message and the file; and what the one who
    asks should know of those at their question. The records come with sudo: what may be read is decided here.

    Raises:
        FilesToRead: some have to be read first.
    """
    if not messages.attachment_ids:
        return {}, []
    may_read = messages.attachment_ids.with_env(run._acting_env())._filtered_access("read")
    left, told = _Room(room), {}
    for message in messages.sorted("id", reverse=True):
        told[message.id] = {
            file.id: _tell(file, left) if file in may_read and _is_theirs(message, file, run) else _forbidden(file)
            for file in message.attachment_ids.with_env(may_read.env)
        }
    if left.unread:
        raise FilesToRead(left.unread)
    return told, _notices(run, told.get(run.trigger_message_id.id, {}))


def _is_theirs(message, file, run) -> bool:
    """Whether the file was given to this conversation: nobody has a document read that only another one may read, by
    attaching it here."""
    return message.author_id == run.user_id.partner_id or (
        file.res_model == run.channel_id._name and file.res_id == run.channel_id.id
    )


def _tell(file, left) -> Told:
    if not left.files or left.tokens <= 0:
        return _left_out(file)
    left.files -= 1
    if file.file_size > max(file_text.MAX_BYTES, MAX_IMAGE_BYTES) or file.type != "binary":
        return _unreadable(file, Problem.TOO_LARGE if file.type == "binary" else Problem.UNKNOWN)
    if file.file_size > left.bytes:
        return _left_out(file)
    content = file.raw or b""
    file.invalidate_recordset(["raw"])  # one content in memory at a time
    left.bytes -= len(content)
    mime_type = recognise(content)
    if mime_type in context.SEEN_TYPES:
        return _tell_image(file, content, mime_type, left)
    try:
        return _tell_text(file, file_text.read_text(content), left)
    except Unreadable as error:
        return _unreadable(file, error.problem)
    except Unread:
        left.unread.append(content)
        return _left_out(file)  # this time


def _tell_image(file, content, mime_type, left) -> Told:
    if not left.sees_images:
        return Told(f"[Attached image, which you cannot see: {_name(file)}]", notice="image_unseen")
    url = f"data:{mime_type};base64,{base64.b64encode(content).decode()}"
    if not left.images or len(url) > left.image_chars:
        return Told(f"[Attached image, left out because there are too many: {_name(file)}]", notice="image_left_out")
    left.images, left.image_chars = left.images - 1, left.image_chars - len(url)
    return Told(f"[Attached image: {_name(file)}]", url)


def _tell_text(file, text, left) -> Told:
    shown = context.cut(text, left.tokens)
    left.tokens -= context.estimate(shown)
    is_cut = len(shown) < len(text) or len(text) == file_text.MAX_CHARS
    mark = "\n  [… the rest of the file was left out: it is too long]" if is_cut else ""
    told = f"[Attached file: {_name(file)}; its text is indented]\n{history.indented(shown)}{mark}"
    return Told(told, notice="file_shortened" if is_cut else "")


def _left_out(file) -> Told:
    return Told(f"[Attached file, left out because there is too much to read: {_name(file)}]")


def _unreadable(file, problem) -> Told:
    reason = {
        Problem.EMPTY: file.env._("it is empty"),
        Problem.TOO_LARGE: file.env._("it is too large"),
        Problem.UNKNOWN: file.env._("this kind of file cannot be read"),
        Problem.ENCRYPTED: file.env._("it is protected with a password"),
        Problem.DAMAGED: file.env._("it is damaged"),
        Problem.NO_TEXT: file.env._("it has no text, it may be a scan"),
    }[problem]
    text = f"[Attached file, which you cannot read because {problem.value}: {_name(file)}]"
    return Told(text, notice="file_unreadable", detail=reason)


def _forbidden(file) -> Told:
    # sudo: ir.attachment - its name stands below the message, for everybody who reads that
    file = file.sudo()
    return Told(f"[Attached file, which the person who asks may not read: {_name(file)}]", notice="file_forbidden")


def _name(file) -> str:
    return " ".join((file.name or "").split())


def _notices(run, told) -> list[Notice]:
    """What the one who asks should know of the files at their question, a sentence for each kind of trouble."""
    env = run._acting_env()
    by_code = defaultdict(list)
    for file in run.trigger_message_id.attachment_ids:
        if code := told[file.id].notice if file.id in told else "":
            detail = told[file.id].detail
            by_code[code].append(f"{_name(file)} ({detail})" if detail else _name(file))
    sentences = {
        "file_unreadable": lambda files: env._("The assistant cannot read: %(files)s.", files=files),
        "file_shortened": lambda files: env._("Too long to be read as a whole: %(files)s.", files=files),
        "file_forbidden": lambda files: env._("The assistant may not read, as you may not: %(files)s.", files=files),
        "image_unseen": lambda files: env._("The assistant's model does not see images: %(files)s.", files=files),
        "image_left_out": lambda files: env._("More images than can be looked at at once: %(files)s.", files=files),
    }
    return [Notice(code, sentences[code](", ".join(names))) for code, names in by_code.items()]
