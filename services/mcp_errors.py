"""Why an MCP server cannot be used, as one sentence for people: from what HTTP did and what the SDK raised.

Sentences name no address, no header and nothing else that might be secret; they say what to look at next.
"""

import socket
import ssl
from collections.abc import Iterator

import httpx2
from mcp.shared.exceptions import MCPError
from mcp_types import CONNECTION_CLOSED, PARSE_ERROR, UNSUPPORTED_PROTOCOL_VERSION

from .mcp_port import CREDENTIALS_REJECTED
from .mcp_wire import ANSWER_TYPES, AnswerEncoded, AnswerTooLarge, Exchange
from .redaction import redacted, secrets_in
from .specs import ServerSpec
from .url_guard import UrlRefused

QUOTE_MAX_CHARS = 200  # of what a server says about itself
NO_MCP_SERVER = "What answers at this URL does not answer as an MCP server."
BROKE_BEFORE = "The connection broke before the server had answered."
_CLOSED = ("Connection closed", "SSE stream ")  # how the SDK begins to say that there will be no answer


def explain(error: BaseException, seen: Exchange, server: ServerSpec) -> str:
    """One sentence on why there is no session with `server`."""
    for cause in _causes(error, seen.failure):
        if sentence := _explain_cause(cause):
            return sentence
    if server.transport == "stdio":
        return _explain_command(error)
    return _explain_answer(seen) or _explain_protocol(error, server)


def _causes(*errors: BaseException | None) -> Iterator[BaseException]:
    """The errors with all that they wrap or came from, innermost last."""
    pending = [error for error in errors if error is not None]
    known: set[int] = set()
    while pending:
        error = pending.pop(0)
        if id(error) in known:
            continue
        known.add(id(error))
        yield error
        if isinstance(error, BaseExceptionGroup):
            pending.extend(error.exceptions)
        pending.extend(cause for cause in (error.__cause__, error.__context__) if cause is not None)


def _explain_cause(error: BaseException) -> str:
    match error:
        case UrlRefused():
            return str(error)
        case ssl.SSLCertVerificationError():
            return f"A secure connection could not be made: {error.verify_message or 'the certificate is not valid'}."
        case ssl.SSLError():
            return "A secure connection could not be made: the server does not seem to speak TLS at this port."
        case socket.gaierror():
            return "The server's host name could not be resolved."
        case ConnectionRefusedError():
            return "The connection was refused: nothing is listening at the server's address."
        case httpx2.UnsupportedProtocol() | httpx2.InvalidURL():
            return "The server's URL is not a valid http or https URL."
        case TimeoutError() | httpx2.TimeoutException():
            return "The server did not answer in time."
        case AnswerTooLarge():
            return "The server's answer is too large to be read."
        case AnswerEncoded():
            return "The server compressed its answer although it was asked not to."
        case _:
            return ""


def _explain_command(error: BaseException) -> str:
    for cause in _causes(error):
        match cause:
            case FileNotFoundError():
                return "The command was not found."
            case PermissionError() | OSError():
                return "The command could not be executed."
            case MCPError() if is_closed(cause):
                return "The command ended before it answered as an MCP server."
    return "The command did not answer as an MCP server."


def _explain_answer(seen: Exchange) -> str:
    status = seen.status
    if isinstance(seen.failure, httpx2.ConnectError):
        return "No connection could be made to the server's address."
    if isinstance(seen.failure, httpx2.TransportError):
        return BROKE_BEFORE
    if status in (401, 403):
        return f"{CREDENTIALS_REJECTED} (HTTP {status})."
    if status in (404, 410):
        return f"There is no MCP server at this URL (HTTP {status}): check its path."
    if status == 405:
        return "The server does not take MCP requests at this URL (HTTP 405): check its path and its transport."
    if 300 <= status < 400:
        return f"The server redirects to another address (HTTP {status}): enter that address."
    if status == 429 or status >= 500:
        return f"The server is not available now (HTTP {status})."
    if status in (0, 202) or seen.content_type in ANSWER_TYPES:  # 202: the older transport answers elsewhere
        return ""
    if not seen.content_type:
        return NO_MCP_SERVER
    return f"What answers at this URL is not an MCP server: it sent {seen.content_type[:60]}."


def _explain_protocol(error: BaseException, server: ServerSpec) -> str:
    for cause in _causes(error):
        if isinstance(cause, MCPError) and cause.code == UNSUPPORTED_PROTOCOL_VERSION:
            return "The server only speaks versions of the protocol that are not known here."
        if isinstance(cause, RuntimeError) and "protocol version" in str(cause):
            return "The server only speaks versions of the protocol that are not known here."
    refusal = next((cause for cause in _causes(error) if isinstance(cause, MCPError)), None)
    if refusal is None or refusal.code == PARSE_ERROR:  # whose message is the parser's, not the server's
        return NO_MCP_SERVER
    if is_closed(refusal):
        return BROKE_BEFORE
    return f"The server did not accept the connection: {quote(refusal.message, server).rstrip('.')}."


def is_closed(error: BaseException) -> bool:
    """Whether the SDK says by `error` that no answer will come. Servers use the same code for whatever they like."""
    return isinstance(error, MCPError) and error.code == CONNECTION_CLOSED and error.message.startswith(_CLOSED)


def quote(text: str, server: ServerSpec) -> str:
    """What a server said, short, on one line, and without the secrets that were sent to it."""
    line = " ".join(redacted(text, secrets_in(server.headers)).split())
    return line if len(line) <= QUOTE_MAX_CHARS else line[:QUOTE_MAX_CHARS] + "…"
