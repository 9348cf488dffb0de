"""Who may call which of our addresses: one row for each route, one column for each kind of person.

A route without a row fails the test, and so does a row without its route. Models and methods have their own matrix, in
`tests/models`.
"""

import httpx2
import pytest
from odoo.addons.ai_discuss import controllers  # noqa: F401 - so that they are known to Odoo
from odoo.http import Controller

from tests.controllers.client import PATIENCE
from tests.fakes.mcp_servers import McpHttpServer
from tests.fakes.model_server import calls, text

# A guest, a portal user and a colleague are members of the asker's conversation. A stranger, who works here, is not,
# nor is anybody behind the asker; but to an administrator Odoo shows all conversations.
PEOPLE = ("public", "guest", "portal", "stranger", "member", "asker", "other", "manager", "admin")
NOBODY = (401, 401)
ROUTES = {
    "POST /api/ai/stream/<int:channel_id>": (*NOBODY, 403, 404, 200, 200, 404, 404, 403),
    "GET /api/ai/stream/<int:channel_id>": (*NOBODY, 200, 404, 200, 200, 404, 404, 403),
    "POST /api/ai/run/<int:run_id>/stop": (*NOBODY, 404, 404, 403, 200, 404, 403, 200),
    "POST /api/ai/run/<int:run_id>/approve": (*NOBODY, 404, 404, 403, 200, 404, 403, 200),
    "POST /api/ai/run/<int:run_id>/deny": (*NOBODY, 404, 404, 403, 200, 404, 403, 200),
}


def routes_of_ours() -> set[str]:
    """Every route of the addon, as its rows name it."""
    handlers = [
        handler
        for controller in Controller.children_classes["ai_discuss"]
        for handler in vars(controller).values() if hasattr(handler, "original_routing")
    ]
    return {
        f"{method} {route}"
        for handler in handlers
        for route in handler.original_routing["routes"]
        for method in handler.original_routing.get("methods") or ("GET", "POST")
    }


def test_every_route_has_a_row():
    assert routes_of_ours() == set(ROUTES)


@pytest.fixture(scope="module")
def callers(live, team):
    """An HTTP client for each kind of person, with their API key where they can have one."""
    stranger = live.person("carl", email="carl@example.com")
    company = team.admin.create("res.company", name="Elsewhere")
    other = live.person("olga", email="olga@example.com", company_id=company, company_ids=[(6, 0, [company])])
    keys = {
        "portal": team.paula.person, "stranger": stranger, "member": team.bob.person, "asker": team.alice.person,
        "other": other, "manager": team.mia.person, "admin": team.admin,
    }
    clients = {name: live.anonymous() for name in PEOPLE}
    for name, person in keys.items():
        clients[name].headers["Authorization"] = f"Bearer {person.api_key}"
    return clients


@pytest.fixture
def approval(conversation, team, callers):
    """The call that Alice has approved in a run that has ended; in her conversation is everybody who can be."""
    [guest] = team.admin.call("mail.guest", "create", [{"name": "Gustav", "access_token": "open-sesame"}])
    callers["guest"].cookies.set("dgid", f"{guest}|open-sesame")
    seats = [{"partner_id": caller.person.partner_id} for caller in (team.paula, team.bob)]
    team.admin.call("discuss.channel", "write", [conversation.id], {
        "channel_member_ids": [(0, 0, seat) for seat in [*seats, {"guest_id": guest}]],
    })
    with McpHttpServer() as server:
        server_id = conversation.use(server)
        team.admin.call("mcp.server", "write", [server_id], {"approval": "ask"})
        conversation.model.respond_with(lambda request: text("Done."))
        conversation.model.script(calls(("note", {"text": "x"}, "call_x")), text("Noted."))
        with conversation.post("Note it.") as stream:
            waiting = stream.until("approval")[-1]
            answer = callers["asker"].post(f"/api/ai/run/{waiting.run_id}/approve", json={"id": waiting.payload["id"]})
            assert answer.status_code == 200
            stream.until("done")
    return waiting


@pytest.mark.parametrize("row", ROUTES)
def test_q47_every_row_is_true(conversation, callers, approval, row):
    method, route = row.split()
    url = route.replace("<int:channel_id>", str(conversation.id)).replace("<int:run_id>", str(approval.run_id))
    body = {"message": "hi", "id": approval.payload["id"]}
    statuses = tuple(_status(callers[name], method, url, body) for name in PEOPLE)
    assert dict(zip(PEOPLE, statuses, strict=True)) == dict(zip(PEOPLE, ROUTES[row], strict=True))


def _status(client: httpx2.Client, method: str, url: str, body: dict) -> int:
    """How the request is answered; of a stream all is read, so that nothing of it is left when the next person asks."""
    return client.request(method, url, json=body, timeout=PATIENCE).status_code
