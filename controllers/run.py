"""`/api/ai/run/<run_id>/…`: stop a run, decide on its calls. All of it is idempotent.

Who may is the run's own rule, in the model.
"""

from http import HTTPStatus

from odoo import http
from odoo.http import request

from ..models.ai_run_control import NotWaiting
from .dispatcher import MAX_BODY_BYTES, ApiError, bad_request

ROUTE = {
    "type": "ai", "auth": "ai", "methods": ["POST"], "save_session": False, "max_content_length": MAX_BODY_BYTES,
}


class RunController(http.Controller):

    @http.route("/api/ai/run/<int:run_id>/stop", **ROUTE)
    def stop(self, run_id, body):
        run = _find_run(run_id)
        run._stop()
        return _state_of(run)

    @http.route("/api/ai/run/<int:run_id>/approve", **ROUTE)
    def approve(self, run_id, body):
        more = {"arguments": body.get("arguments"), "always": body.get("always", False)}
        if not isinstance(more["arguments"], dict | None):
            raise bad_request("'arguments' must be a JSON object: what the call is made with.")
        if not isinstance(more["always"], bool):
            raise bad_request("'always' must be true or false: whether the tool runs unasked here from now on.")
        return _decide(run_id, body, approved=True, **more)

    @http.route("/api/ai/run/<int:run_id>/deny", **ROUTE)
    def deny(self, run_id, body):
        return _decide(run_id, body, approved=False)


def _decide(run_id: int, body: dict, approved: bool, **more) -> dict:
    call_id = body.get("id")
    if not isinstance(call_id, str) or not call_id:
        raise bad_request("'id' must be the id of a tool call.")
    run = _find_run(run_id)
    try:
        run._decide(call_id, approved, **more)
    except NotWaiting as error:
        raise ApiError(HTTPStatus.CONFLICT, "not_waiting", str(error)) from error
    return _state_of(run)


def _find_run(run_id: int):
    runs = request.env["ai.run"]
    run = runs.search([("id", "=", run_id)]) if runs.has_access("read") else runs
    if not run:
        raise ApiError(HTTPStatus.NOT_FOUND, "run_not_found", f"There is no run {run_id} for you.")
    return run


def _state_of(run) -> dict:
    return {"run_id": run.id, "state": run.state}
