"""The addon's lines in `odoo.conf`, each with its default. Read at every use: the file is all that knows them."""

from odoo.tools import config


def hosts_runs() -> bool:
    """Whether the processes that serve requests also execute runs (`ai_discuss_runner`, `embedded` unless it says
    `external`: then only `odoo-bin ai_runner` does)."""
    return (config.get("ai_discuss_runner") or "embedded").strip().lower() != "external"


def ping_seconds() -> float:
    """How long a stream may be silent before a comment is sent (`ai_discuss_ping`); the contract allows 15 seconds."""
    return float(config.get("ai_discuss_ping") or 10)
