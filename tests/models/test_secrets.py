"""Secrets are written by people and read by nobody, on no path."""

import logging

from odoo.exceptions import AccessError, ValidationError
from odoo.service.model import call_kw
from psycopg2 import IntegrityError

from .common import AiCase, offered

SECRET = "sk-very-secret"


class TestSecrets(AiCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = cls.env["mcp.server"].create({
            "name": "S", "scope": "shared", "url": "http://one.example/mcp", "auth_type": "bearer", "token": SECRET,
        })
        cls.stored = [(cls.provider, "api_key", "stored_api_key"), (cls.server, "token", "stored_token")]

    def test_a_secret_reads_as_empty_on_every_path(self):
        for record, field, _column in self.stored:
            record = record.with_user(self.admin)
            with self.subTest(field=field):
                self.assertFalse(record.read([field])[0][field])
                self.assertFalse(record.web_read({field: {}})[0][field])
                self.assertFalse(record.export_data([field])["datas"][0][0])
                self.assertNotIn(SECRET, str(record.read()))
                self.assertNotIn(SECRET, str(record.web_search_read([], {field: {}})))
                self.assertNotIn(SECRET, str(record.copy_data()))
                self.assertNotIn(SECRET, str(record.onchange({}, [], {field: {}})))

    def test_the_column_is_closed_to_everybody(self):
        for record, _field, column in self.stored:
            record = record.with_user(self.admin)
            with self.subTest(column=column):
                self.assertNotIn(column, record.fields_get())
                for method, *arguments in (
                    ("read", [column]),
                    ("web_read", {column: {}}),
                    ("export_data", [column]),
                    ("search", [(column, "=like", "sk%")]),
                    ("search", [], 0, None, column),
                    ("formatted_read_group", [], [column], []),
                    ("write", {column: "other"}),
                ):
                    with self.assertRaises(AccessError, msg=method):
                        getattr(record, method)(*arguments)

    def test_a_secret_cannot_be_guessed_by_searching(self):
        for record, field, _column in self.stored:
            with self.subTest(field=field), self.assertRaises(ValueError):
                record.with_user(self.admin).search([(field, "=like", "sk%")])

    def test_people_see_whether_there_is_one(self):
        self.assertTrue(self.provider.with_user(self.mia).has_api_key)
        self.assertTrue(self.server.with_user(self.mia).has_token)
        self.provider.with_user(self.mia).action_clear_api_key()
        self.server.with_user(self.mia).action_clear_secrets()
        self.assertFalse(self.provider.with_user(self.mia).has_api_key)
        self.assertFalse(self.server.with_user(self.mia).has_token)

    def test_the_engine_gets_the_secret_and_does_not_show_it(self):
        model = self.provider._model_spec("small")
        server = self.server._spec(self.ann)
        self.assertEqual(model.api_key, SECRET)
        self.assertEqual(server.headers, (("Authorization", f"Bearer {SECRET}"),))
        self.assertNotIn(SECRET, f"{model!r} {server!r}")

    def test_a_copy_has_no_secret(self):
        self.assertFalse(self.provider.copy().has_api_key)
        self.assertFalse(self.server.copy().has_token)

    def test_writing_something_else_keeps_the_secret(self):
        self.provider.with_user(self.mia).write({"name": "Renamed", "base_url": self.provider.base_url})
        self.server.with_user(self.mia).write({"name": "Renamed", "url": self.server.url})
        self.assertTrue(self.provider.has_api_key)
        self.assertTrue(self.server.has_token)

    def test_a_new_address_without_a_new_secret_loses_secret_state_and_approvals(self):
        self.server._take_over([offered("free"), offered("asked"), offered("banned")])
        self.server.tool_ids.filtered(lambda tool: tool.name == "asked").approval = "ask"
        self.server.tool_ids.filtered(lambda tool: tool.name == "banned").approval = "never"
        self.server.with_user(self.mia).url = "http://two.example/mcp"
        self.assertFalse(self.server.has_token)
        self.assertEqual(self.server.state, "draft")
        self.assertEqual(
            {tool.name: tool.approval for tool in self.server.tool_ids},
            {"free": "ask", "asked": "ask", "banned": "never"},
        )
        self.provider.with_user(self.mia).base_url = "http://two.example/v1"
        self.assertFalse(self.provider.has_api_key)

    def test_a_new_address_with_a_new_secret_keeps_the_new_one(self):
        self.server.with_user(self.mia).write({"url": "http://two.example/mcp", "token": "fresh"})
        self.provider.with_user(self.mia).write({"base_url": "http://two.example/v1", "api_key": "fresh"})
        self.assertEqual(self.server._spec(self.ann).headers, (("Authorization", "Bearer fresh"),))
        self.assertEqual(self.provider._model_spec("small").api_key, "fresh")

    def test_a_refused_secret_is_not_quoted(self):
        for values in ({"headers": '{"X-Key": "' + SECRET}, {"headers": f'["{SECRET}"]'}, {"token": f"{SECRET}\n\x00"}):
            with self.subTest(values=list(values)), self.assertRaises(ValidationError) as refusal:
                self.server.write(values)
            self.assertNotIn(SECRET, str(refusal.exception))

    def test_headers_are_sent_as_given(self):
        self.server.write({"auth_type": "headers", "headers": '{"X-Api-Key": "k", "X-Team": "t"}'})
        self.assertEqual(self.server._spec(self.ann).headers, (("X-Api-Key", "k"), ("X-Team", "t")))

    def test_whoever_types_another_address_is_warned_that_the_secret_goes(self):
        for record, field in ((self.provider, "base_url"), (self.server, "url")):
            with self.subTest(field=field):
                values = {field: "http://two.example"}
                self.assertIn("warning", record.with_user(self.mia).onchange(values, [field], {field: {}}))
                unchanged = {field: record[field]}
                self.assertNotIn("warning", record.with_user(self.mia).onchange(unchanged, [field], {field: {}}))
                bare = record.copy()
                self.assertNotIn("warning", bare.with_user(self.mia).onchange(values, [field], {field: {}}))

    def test_a_call_is_logged_without_the_secrets_that_it_brings(self):
        servers = self.env["mcp.server"].with_user(self.mia)
        values = {"name": "Logged", "scope": "shared", "url": "http://one.example/mcp", "token": SECRET}
        nested = {"mcp_server_ids": [(0, 0, {**values, "headers": {"X-Key": SECRET}})]}
        with self.assertLogs("odoo.service.model", logging.DEBUG) as log:
            call_kw(servers, "create", [[values]], {})
            call_kw(self.provider.with_user(self.mia), "write", [self.provider.ids], {"vals": {"api_key": SECRET}})
            call_kw(self.assistant.with_user(self.mia), "write", [self.assistant.ids, nested], {})
        self.assertEqual(len(log.output), 3)
        self.assertIn("Logged", log.output[0])
        self.assertNotIn(SECRET, "".join(log.output))
        self.assertEqual(self.provider._model_spec("small").api_key, SECRET)

    def test_a_query_that_fails_is_not_logged_with_the_secret_that_it_would_store(self):
        with self.assertNoLogs("odoo.sql_db"), self.assertRaises(IntegrityError), self.env.cr.savepoint():
            self.provider.write({"timeout": -1, "api_key": SECRET})
