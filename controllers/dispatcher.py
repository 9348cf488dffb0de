"""The routing type `ai`: JSON in, JSON or a stream out, and every error as `{"error": {"code", "message"}}`.

It knows nothing of channels and runs. All errors of our routes meet here, wherever they come from (routing,
authentication, access, a controller, a bug), so this is the only place that gives them a status and a code.
"""

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus

from odoo.exceptions import AccessDenied, AccessError, ConcurrencyError, MissingError, UserError
from odoo.http import Dispatcher, HttpDispatcher, RegistryError, Response, SessionExpiredException
from psycopg2.errors import OperationalError
from werkzeug.exceptions import (
    HTTPException,
    MethodNotAllowed,
    NotFound,
    RequestEntityTooLarge,
    Unauthorized,
)

from ..models.ai_budget import RateLimited
from ..models.ir_http import CrossSiteRequest
from ..runtime.database import is_outage
from ..runtime.places import NoPlace

PREFIX = "/api/ai/"
MAX_BODY_BYTES = 1024 * 1024  # far more than anybody writes; files are uploaded before and named by id
RETRY_AFTER_SECONDS = "1"

_logger = logging.getLogger(__name__)


class ApiError(HTTPException):
    """Ends a request with a code of the contract."""

    def __init__(self, status: HTTPStatus, error_code: str, message: str):
        super().__init__(message)
        self.code = int(status)
        self.error_code = error_code


def bad_request(message: str) -> ApiError:
    return ApiError(HTTPStatus.BAD_REQUEST, "bad_request", message)


@dataclass(frozen=True, slots=True)
class Problem:
    """An error as the client sees it."""

    status: int
    code: str
    message: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self) -> Response:
        headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", **self.headers}
        return json_response({"error": {"code": self.code, "message": self.message}}, self.status, headers)


class AiDispatcher(Dispatcher):
    """Our routes. Endpoints get the path's arguments and, where the method has one, the JSON object of the `body`."""

    routing_type = "ai"
    mimetypes = ("application/json",)

    @classmethod
    def is_compatible_with(cls, request):
        return True  # what the body is worth is decided when it is read, and refused in our own words

    def dispatch(self, endpoint, args):
        if self.request.httprequest.method == "OPTIONS":  # Odoo adds it to every route; ours are not for other sites
            raise MethodNotAllowed(valid_methods=endpoint.routing["methods"])
        self.request.params = dict(args)
        if self.request.httprequest.method == "POST":
            self.request.params["body"] = _json_object(self.request.httprequest)
        with _stored(self.request.env.cr):
            result = self.request.registry["ir.http"]._dispatch(endpoint)
        return result if isinstance(result, Response) else json_response(result)

    def handle_error(self, exc):
        return describe(exc).response()


class PageDispatcher(HttpDispatcher):
    """Odoo's own, except for requests to our address that fail before one of our routes is found."""

    routing_type = "http"

    def handle_error(self, exc):
        if self.request.httprequest.path.startswith(PREFIX):
            return describe(exc).response()
        return super().handle_error(exc)


def describe(exc: Exception) -> Problem:
    """What a client learns of `exc`. Whatever is not meant for people becomes a bare 500; Odoo has logged it."""
    match exc:
        case ApiError():
            return Problem(exc.code, exc.error_code, exc.description)
        case CrossSiteRequest():
            return Problem(403, "csrf", exc.description)
        case Unauthorized() | SessionExpiredException() | AccessDenied():
            return _unauthenticated(exc)
        case AccessError():
            return Problem(403, "access_denied", str(exc))
        case MissingError():
            return Problem(404, "not_found", str(exc))
        case RateLimited():
            return Problem(429, "rate_limited", str(exc), {"Retry-After": str(exc.retry_after)})
        case UserError():
            return Problem(400, "bad_request", str(exc))
        case NoPlace() | ConcurrencyError():
            return _busy()
        case _ if is_outage(exc):
            return _busy()
        case HTTPException():
            return _busy() if _is_without_database(exc) else _describe_http(exc)
        case _:
            return Problem(500, "internal_error", "Something went wrong in the server; its log says what.")


def _unauthenticated(exc: Exception) -> Problem:
    message = "Use an API key ('Authorization: Bearer <key>') or the session of a page of this server."
    if isinstance(exc, Unauthorized):
        message = f"{exc.description} {message}"
    return Problem(401, "unauthenticated", message, {"WWW-Authenticate": "Bearer"})


def _busy() -> Problem:
    message = "The server is busy. Try again in a moment."
    return Problem(503, "busy", message, {"Retry-After": RETRY_AFTER_SECONDS})


def _is_without_database(exc: BaseException | None) -> bool:
    """Whether Odoo could not reach the database for now: it then goes on without one, and finds nothing there."""
    while exc and not isinstance(exc, RegistryError):
        exc = exc.__context__
    cause = exc.__cause__ if exc else None
    return isinstance(cause, OperationalError) and "does not exist" not in str(cause)


def _describe_http(exc: HTTPException) -> Problem:
    match exc:
        case NotFound():
            message = "There is nothing at this address. With several databases, name one in X-Odoo-Database."
            return Problem(404, "not_found", message)
        case MethodNotAllowed():
            methods = ", ".join(exc.valid_methods or ())
            return Problem(405, "method_not_allowed", f"Use {methods} here.", {"Allow": methods})
        case RequestEntityTooLarge():
            return Problem(413, "too_large", f"The body must be smaller than {MAX_BODY_BYTES} bytes.")
        case HTTPException(code=403):
            return Problem(403, "access_denied", exc.description)
        case HTTPException(code=code) if code and 400 <= code < 500:
            return Problem(code, "bad_request", exc.description or HTTPStatus(code).phrase)
        case HTTPException(code=code) if code and code >= 500:
            return Problem(code, "internal_error", HTTPStatus(code).phrase)
        case _:  # a redirect, or a page that another module made: neither is an answer to a program
            return Problem(404, "not_found", "There is nothing at this address.")


@contextmanager
def _stored(cr) -> Iterator[None]:
    """Commit what is done inside. What fails behind the commit refuses nothing any more: Odoo announces notifications
    over another connection, which there may not be."""
    is_committed = False

    def note() -> None:
        nonlocal is_committed
        is_committed = True

    cr.postcommit.add(note)  # before all others
    yield
    try:
        cr.commit()
    except Exception:
        if not is_committed:
            raise
        _logger.warning("Something was stored that other people will only learn of later", exc_info=True)


def _json_object(httprequest) -> dict:
    """The body: one JSON object, `{}` where there is none."""
    data = httprequest.get_data()
    if len(data) >= MAX_BODY_BYTES:  # where no length was announced, werkzeug cuts at the limit and says nothing
        raise RequestEntityTooLarge
    if not data.strip():
        return {}
    try:
        body = json.loads(data)
    except RecursionError as exc:
        raise bad_request("The body is nested too deeply.") from exc
    except ValueError as exc:
        raise bad_request(f"The body is not valid JSON: {exc}.") from exc
    if not isinstance(body, dict):
        raise bad_request("The body must be a JSON object.")
    return body


def json_response(data, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    body = json.dumps(data)  # ASCII: Odoo's own helper counts characters where a client counts bytes
    return Response(body, status=status, headers=headers, content_type="application/json; charset=utf-8")
