"""The addon's lines in `odoo.conf`, each with its default. Read at every use: the file is all that knows them."""

from odoo.tools import config

MAX_PING_S = 15  # what the contract promises to viewers and proxies
MAX_SLICE_SHARE = 0.75  # of limit_time_real, after which Odoo kills a worker that still serves the same request


def hosts_runs() -> bool:
    """Whether the processes that serve requests also execute runs (`ai_discuss_runner`, `embedded` unless it says
    `external`: then only `odoo-bin ai_runner` does)."""
    return (config.get("ai_discuss_runner") or "embedded").strip().lower() != "external"


def ping_seconds() -> float:
    """How long a stream may be silent before a comment is sent (`ai_discuss_ping`)."""
    return min(float(config.get("ai_discuss_ping") or 10), MAX_PING_S)


def http_streams() -> int:
    """How many streams the HTTP workers of one server may hold together (`ai_discuss_http_streams`). Without the line
    half of them, so that the other half serves everybody else."""
    return int(config.get("ai_discuss_http_streams") or max(1, config["workers"] // 2))


def http_slice_seconds() -> float:
    """For how long a stream may keep an HTTP worker before its client has to come again (`ai_discuss_http_slice`)."""
    longest = config["limit_time_real"] * MAX_SLICE_SHARE or float("inf")
    return min(float(config.get("ai_discuss_http_slice") or 30), longest)
