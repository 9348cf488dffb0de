"""How a server is doing: what runs tell of it, what its record says then, and what is none of its business."""

from datetime import timedelta

from odoo import fields
from odoo.addons.ai_discuss.runtime import servers
from odoo.addons.ai_discuss.runtime.servers import ServerRecords
from odoo.addons.ai_discuss.services.mcp_port import CREDENTIALS_REJECTED

from tests.fakes.mcp_servers import McpHttpServer

from .common import AiCase, offered

REFUSED = "The connection was refused: nothing is listening at the server's address."
REJECTED = f"{CREDENTIALS_REJECTED} (HTTP 401)."


class HealthCase(AiCase):
    def setUp(self):
        super().setUp()
        self.server = self.shared_server(auth_type="bearer", token="let-me-in")
        self.server._take_over([offered("a"), offered("b")])
        self.records = ServerRecords(database=None)

    def write_down(self):
        """What a host does with what it has heard."""
        while self.records._news:
            servers._record(self.env, self.records._news.popitem()[1])

    def break_down(self, spec=None, problem=REFUSED, failures=4, pause=30.0):
        self.records.server_failed(spec or self.server._spec(self.ann), problem, failures, pause)
        self.write_down()

    def recover(self, spec=None):
        self.records.server_answered(spec or self.server._spec(self.ann))
        self.write_down()


class TestHealth(HealthCase):
    def test_failures_in_a_row_pause_a_server_and_its_record_says_so(self):
        self.break_down()
        server = self.server
        self.assertEqual((server.state, server.state_message, server.failure_count), ("error", REFUSED, 4))
        self.assertEqual(server.circuit, "open")
        self.assertTrue(server.last_failure <= fields.Datetime.now() < server.retry_at)

    def test_a_failure_without_a_pause_leaves_the_server_in_use(self):
        self.break_down(failures=1, pause=0)
        self.assertEqual((self.server.state, self.server.circuit), ("error", "closed"))

    def test_when_the_pause_is_over_the_server_waits_for_a_trial(self):
        self.break_down()
        self.server.retry_at = fields.Datetime.now() - timedelta(seconds=1)
        self.server.invalidate_recordset()
        self.assertEqual(self.server.circuit, "half_open")

    def test_a_server_that_answers_again_is_in_use_again(self):
        self.break_down()
        self.recover()
        server = self.server
        self.assertEqual((server.state, server.state_message, server.circuit), ("connected", False, "closed"))
        self.assertEqual((server.failure_count, server.retry_at), (0, False))
        self.assertTrue(server.last_failure)

    def test_only_the_newest_of_a_server_is_written(self):
        spec = self.server._spec(self.ann)
        for failures in range(1, 1000):
            self.records.server_failed(spec, REFUSED, failures, 1.0)
        self.records.server_answered(spec)
        self.assertEqual(len(self.records._news), 1)
        self.write_down()
        self.assertEqual(self.server.state, "connected")

    def test_a_paused_server_still_offers_its_tools_to_runs(self):
        """The pool alone decides whether it is tried; a run is told when it is not."""
        self.assistant.mcp_server_ids = self.server
        self.break_down()
        self.assertEqual(len(self.assistant.get_enabled_mcp_tools()), 2)

    def test_q28_what_cannot_be_stored_of_a_problem_is_replaced_visibly(self):
        self.break_down(problem="The server did not accept the connection: a\0b.")
        self.assertIn("a\ufffdb", self.server.state_message)

    def test_another_address_begins_anew(self):
        self.break_down()
        self.server.url = "http://elsewhere.example/mcp"
        self.assertEqual((self.server.state, self.server.failure_count), ("draft", 0))
        self.assertEqual(self.server.circuit, "closed")


class TestNewsOfTheDay(HealthCase):
    """What an old run tells of a server that has changed since is not about the server as it is."""

    def test_of_another_address_or_secret_it_changes_nothing(self):
        spec = self.server._spec(self.ann)
        for values in ({"token": "another"}, {"url": "http://elsewhere.example/mcp", "token": "let-me-in"}):
            self.server.write(values)
            self.server.state = "connected"
            with self.subTest(**values):
                self.break_down(spec)
                self.assertEqual((self.server.state, self.server.failure_count), ("connected", 0))

    def test_another_name_and_other_deadlines_do_not_matter(self):
        spec = self.server._spec(self.ann)
        self.server.write({"name": "Renamed", "timeout": 5})
        self.break_down(spec)
        self.assertEqual(self.server.state, "error")

    def test_a_server_that_nobody_has_connected_yet_stays_so(self):
        self.server.state = "draft"
        self.recover()
        self.assertEqual(self.server.state, "draft")

    def test_a_deleted_server_is_past_caring(self):
        spec = self.server._spec(self.ann)
        self.server.unlink()
        self.break_down(spec)
        self.recover(spec)
        self.assertIsNone(servers._lister(self.env, spec))


class TestPersonalCredentials(HealthCase):
    def setUp(self):
        super().setUp()
        self.server.per_user = True
        self.credential = self.env["mcp.credential"].with_user(self.ann).create({
            "server_id": self.server.id, "token": "anns-token",
        }).sudo()

    def test_a_person_who_is_turned_down_does_not_mark_the_shared_server(self):
        self.break_down(problem=REJECTED)
        self.assertEqual((self.server.state, self.server.circuit), ("connected", "closed"))
        self.assertEqual((self.credential.state, self.credential.state_message), ("error", REJECTED))
        self.recover()
        self.assertEqual((self.credential.state, self.credential.state_message), ("connected", False))

    def test_a_manager_who_is_turned_down_at_the_button_does_not_either(self):
        with McpHttpServer(token="another") as peer:
            self.server.url = peer.url
            mias = self.env["mcp.credential"].with_user(self.mia).create({"server_id": self.server.id, "token": "mias"})
            self.server.state = "connected"
            action = self.server.with_user(self.mia).action_sync_tools()
        self.assertEqual(action["params"]["type"], "danger")
        self.assertEqual((mias.state, self.server.state), ("error", "connected"))

    def test_a_server_that_is_down_is_down_whoever_notices(self):
        self.break_down()
        self.assertEqual((self.server.state, self.server.circuit), ("error", "open"))
        self.assertEqual(self.credential.state, "draft")

    def test_the_shared_account_of_the_server_does_mark_it(self):
        self.break_down(self.server._spec(None), problem=REJECTED)
        self.assertEqual(self.server.state, "error")

    def test_tools_are_listed_as_a_manager_or_as_the_server_itself_never_as_just_anybody(self):
        anns = self.server._spec(self.ann)
        self.assertEqual(servers._lister(self.env, anns), self.server._spec(None))
        self.server.token = False
        self.assertIsNone(servers._lister(self.env, anns))
        self.env["mcp.credential"].with_user(self.mia).create({"server_id": self.server.id, "token": "mias-token"})
        mias = self.server._spec(self.mia)
        self.assertEqual(servers._lister(self.env, mias), mias)
