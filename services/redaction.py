"""Taking secrets out of what a server says: many quote the credentials that they were sent, in errors above all.

Only the very text is found. A server that means to give its credentials away can, in any other form.
"""

import logging
from collections.abc import Iterable
from typing import Any

# These write down what goes over the wire: addresses, ids of sessions, what servers echo. Warnings of theirs don't.
for name in ("httpcore2", "httpx2", "openai"):
    logging.getLogger(name).setLevel(logging.WARNING)

SECRET_MIN_CHARS = 6  # shorter header values ("2", "true") keep no secret, and are in every text
MARK = "•••"


def secrets_in(headers: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """What of `headers` must not be seen: each value, and behind it the last word of it, which is the token alone."""
    parts = [part for _, value in headers for part in (value, value.rpartition(" ")[2])]
    return tuple(dict.fromkeys(part for part in parts if len(part) >= SECRET_MIN_CHARS))


def redacted(value: Any, secrets: tuple[str, ...]) -> Any:
    """`value`, of JSON, with a mark in place of each secret."""
    if not secrets:
        return value
    match value:
        case str():
            for secret in secrets:
                value = value.replace(secret, MARK)
            return value
        case dict():
            return {redacted(key, secrets): redacted(item, secrets) for key, item in value.items()}
        case list():
            return [redacted(item, secrets) for item in value]
        case _:
            return value
