"""Shared servers that everybody uses with credentials of their own."""

from odoo.addons.ai_discuss.runtime import inputs
from odoo.exceptions import AccessError, ValidationError
from odoo.tools import mute_logger
from psycopg2 import IntegrityError

from tests.fakes.mcp_servers import McpHttpServer

from .common import AiCase, offered

SECRET = "sk-anns-secret"


class TestCredentials(AiCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = cls.env["mcp.server"].create({
            "name": "Calendar", "scope": "shared", "url": "http://calendar.example/mcp", "auth_type": "bearer",
            "token": "sk-of-the-server", "per_user": True,
        })
        cls.server._take_over([offered("look")])
        cls.assistant.mcp_server_ids = cls.server

    def enter(self, user, server=None, **values):
        values = {"server_id": (server or self.server).id, "token": SECRET, **values}
        return self.env["mcp.credential"].with_user(user).create(values)

    def run_tools(self, user):
        """The tools that the engine gets for a run of this person, and what is noticed."""
        specs, notices = inputs._tools(self.env["discuss.channel"].with_user(user), self.assistant.with_user(user))
        return [spec.name for spec in specs], [(notice.code, notice.message) for notice in notices]

    def test_runs_use_the_credentials_of_whoever_asks(self):
        self.enter(self.ann)
        self.enter(self.ben, token="sk-bens")
        for user, token in ((self.ann, SECRET), (self.ben, "sk-bens")):
            spec = self.server._spec(user)
            self.assertEqual((spec.user_id, spec.headers), (user.id, (("Authorization", f"Bearer {token}"),)))
            self.assertNotIn(token, repr(spec))
        self.assertEqual(self.run_tools(self.ann), (["look"], []))

    def test_without_credentials_the_tools_are_left_out_and_it_is_said_where_to_enter_them(self):
        tools, [(code, message)] = self.run_tools(self.ann)
        self.assertEqual((tools, code), ([], "credentials_missing"))
        self.assertIn("Calendar wants your own credentials. Enter them under AI Assistants ▸ My Credentials", message)
        with self.assertRaises(AccessError):
            self.server._spec(self.ann)
        self.enter(self.ann, token=False)
        self.assertEqual(self.run_tools(self.ann)[0], [])

    def test_other_servers_are_called_as_their_own_account(self):
        self.enter(self.ann)
        self.server.per_user = False
        self.assertEqual(self.server._spec(self.ann).user_id, 0)
        self.assertEqual(self.server._spec(self.ann).headers, (("Authorization", "Bearer sk-of-the-server"),))
        self.server.write({"per_user": True, "auth_type": "none"})
        self.assertEqual((self.server._spec(self.ben).user_id, self.server._spec(self.ben).headers), (0, ()))

    def test_headers_of_ones_own_are_sent_as_given(self):
        self.server.auth_type = "headers"
        self.enter(self.ann, token=False, headers='{"X-Api-Key": "k"}')
        self.assertEqual(self.server._spec(self.ann).headers, (("X-Api-Key", "k"),))

    def test_they_exist_for_their_owner_only(self):
        credential = self.enter(self.ann)
        other = self.shared_server(auth_type="bearer", per_user=True)
        for user in (self.ben, self.mia, self.admin):
            with self.subTest(user=user.login):
                theirs = credential.with_user(user)
                self.assertFalse(theirs.search([]))
                for attempt in (
                    lambda theirs=theirs: theirs.read(["state"]),
                    lambda theirs=theirs: theirs.write({"token": "sk-other"}),
                    lambda theirs=theirs: theirs.action_test_connection(),
                    lambda theirs=theirs: theirs.unlink(),
                    lambda user=user: self.enter(user, other, user_id=self.ann.id),
                ):
                    with self.assertRaises(AccessError), self.env.cr.savepoint():
                        attempt()
        self.assertEqual(self.server.with_user(self.mia).credential_count, 1)
        for user in (self.paula, self.public):
            self.assertFalse(self.env["mcp.credential"].with_user(user).has_access("read"))

    def test_a_form_that_was_left_empty_is_as_good_as_none(self):
        self.enter(self.mia, token=False)
        self.assertEqual(self.server.with_user(self.mia).credential_count, 0)
        self.assertFalse(self.server.with_user(self.mia)._lister())

    def test_they_read_as_empty_on_every_path(self):
        credential = self.enter(self.ann)
        self.assertTrue(credential.has_token)
        for read in (credential.read(), credential.web_read({"token": {}}), credential.copy_data()):
            self.assertNotIn(SECRET, str(read))
        with self.assertRaises(AccessError):
            credential.read(["stored_token"])
        with self.assertRaises(AccessError):
            credential.search([("stored_token", "=like", "sk%")])

    def test_they_are_for_one_server_and_one_person(self):
        credential = self.enter(self.ann)
        other = self.shared_server(per_user=True, auth_type="bearer")
        for values in ({"server_id": other.id}, {"user_id": self.ben.id}):
            with self.assertRaises(ValidationError):
                credential.write(values)
        credential.write({"server_id": self.server.id, "token": "sk-new"})
        with self.assertRaises(IntegrityError), mute_logger("odoo.sql_db"), self.env.cr.savepoint():
            self.enter(self.ann)

    def test_they_are_entered_only_for_servers_that_ask_for_them_and_that_one_may_see(self):
        with self.assertRaises(ValidationError), self.env.cr.savepoint():
            self.enter(self.ann, self.shared_server())
        with self.assertRaises(ValidationError), self.env.cr.savepoint():
            self.enter(self.ann, self.personal_server(self.ann))
        self.server.company_id = self.env.company
        with self.assertRaises(AccessError), self.env.cr.savepoint():
            self.enter(self.olga)

    def test_the_form_of_a_new_one_knows_the_only_server_that_waits(self):
        credentials = self.env["mcp.credential"].with_user(self.ann)
        self.assertEqual(credentials.default_get(["server_id"])["server_id"], self.server.id)
        self.enter(self.ann)
        self.assertFalse(credentials.default_get(["server_id"]).get("server_id"))
        action = self.server.with_user(self.ann).action_my_credentials()
        self.assertEqual(action["res_id"], credentials.search([]).id)

    def test_a_new_address_removes_everybodys(self):
        self.enter(self.ann)
        self.enter(self.ben)
        self.server.with_user(self.mia).write({"name": "Diary", "url": self.server.url})
        self.assertEqual(self.server.credential_count, 2)
        self.server.with_user(self.mia).write({"url": "http://thief.example/mcp", "token": "sk-fresh"})
        self.assertFalse(self.env["mcp.credential"].sudo().search([("server_id", "=", self.server.id)]))

    def test_one_tests_them_oneself_and_the_server_stays_as_it_is(self):
        with McpHttpServer(token=SECRET) as peer:
            self.server.with_user(self.admin).write({"url": peer.url, "token": SECRET})
            self.server.with_user(self.mia).action_sync_tools()
            right, wrong = self.enter(self.ann), self.enter(self.ben, token="sk-wrong")
            kinds = [credential.action_test_connection()["params"]["type"] for credential in (right, wrong)]
        self.assertEqual(kinds, ["success", "danger"])
        self.assertEqual((right.state, right.state_message), ("connected", False))
        self.assertEqual(wrong.state, "error")
        self.assertTrue(wrong.state_message)
        self.assertNotIn("sk-wrong", wrong.state_message)
        self.assertEqual(self.server.state, "connected")
        wrong.token = SECRET
        self.assertEqual((wrong.state, wrong.state_message), ("draft", False))

    def test_tools_are_listed_with_the_managers_own_credentials_or_else_the_servers(self):
        with McpHttpServer(token="sk-mias") as peer:
            self.server.with_user(self.admin).write({"url": peer.url, "token": "sk-of-the-server"})
            self.assertEqual(self.server.with_user(self.mia).action_sync_tools()["params"]["type"], "danger")
            self.enter(self.mia, token="sk-mias")
            self.assertEqual(self.server.with_user(self.mia).action_sync_tools()["params"]["type"], "success")
            self.server.with_user(self.mia).token = "sk-mias"
            self.assertEqual(self.server.with_user(self.admin).action_sync_tools()["params"]["type"], "success")
