"""Small things that several models share."""

from urllib.parse import urlsplit

from odoo.modules import module

BUTTON_TIMEOUT_SECONDS = 10  # how long a person waits for a server before a button answers that it is too slow


def ask_outside(env, ask, *args):
    """What the coroutine function `ask` returns, for a button; waits with no transaction open.

    What was written before is committed, and what is read after it is new. Tests own their transaction: it stays open.

    Raises:
        TimeoutError: it took longer than a person waits.
    """
    from ..runtime import bridge  # lazily: it brings the engine's clients along

    if not module.current_test:
        env.cr.commit()
    return bridge.run(ask, *args, timeout=BUTTON_TIMEOUT_SECONDS)


def is_http_url(url):
    """Whether `url` is absolute, http or https, and free of credentials (which would show in lists and logs)."""
    try:
        parts = urlsplit(url or "")
        parts.port  # noqa: B018 - raises where the port is not a number
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc


def is_header_text(text):
    """Whether an HTTP header can carry `text` as it is."""
    return text.isascii() and text.isprintable()


def notification(message, kind="success", title=None):
    """The action that shows `message` to the person and then reloads the view; a danger stays until it is closed."""
    return {
        "type": "ir.actions.client",
        "tag": "display_notification",
        "params": {
            "title": title or False,  # None could not be sent to callers over XML-RPC
            "message": message,
            "type": kind,
            "sticky": kind == "danger",
            "next": {"type": "ir.actions.act_window_close"},
        },
    }


def forgetting(env, message):
    """What an onchange returns to tell that saving will remove a stored secret."""
    return {"warning": {"type": "notification", "title": env._("Saving removes what is stored"), "message": message}}


def storable(value):
    """`value` with every NUL, which PostgreSQL cannot store, replaced visibly; keys of objects included."""
    if isinstance(value, str):
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}")
    if isinstance(value, dict):
        return {storable(key): storable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [storable(item) for item in value]
    return value
