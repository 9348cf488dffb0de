"""Who sees and changes what: one row for each kind of person."""

from odoo.exceptions import AccessError
from odoo.fields import Command

from .common import AiCase, offered


class TestAccess(AiCase):
    def allowed(self, user, model, operation):
        return self.env[model].with_user(user).has_access(operation)

    def sees(self, user, record):
        return bool(record.with_user(user).search([("id", "=", record.id)]))

    def test_only_managers_set_up_providers_and_assistants(self):
        rows = [  # person, reads providers, reads assistants, writes assistants
            (self.ann, False, True, False),
            (self.mia, True, True, True),
            (self.admin, True, True, True),
            (self.paula, False, False, False),
            (self.public, False, False, False),
        ]
        for user, providers, assistants, writes in rows:
            with self.subTest(user=user.login):
                self.assertEqual(self.allowed(user, "ai.provider", "read"), providers)
                self.assertEqual(self.allowed(user, "ai.assistant", "read"), assistants)
                self.assertEqual(self.allowed(user, "ai.assistant", "write"), writes)

    def test_nobody_writes_what_the_engine_records(self):
        for user in (self.ann, self.mia, self.admin):
            for model in ("ai.run", "ai.tool.call", "ai.run.event"):
                with self.subTest(user=user.login, model=model):
                    self.assertTrue(self.allowed(user, model, "read"))
                    self.assertFalse(self.allowed(user, model, "write"))
                    self.assertFalse(self.allowed(user, model, "create"))
                    self.assertFalse(self.allowed(user, model, "unlink"))

    def test_an_assistant_is_seen_and_used_by_its_groups_only(self):
        self.assistant.group_ids = self.env.ref("base.group_system")
        rows = [(self.ann, False, False), (self.mia, True, False), (self.admin, True, True)]
        for user, sees, uses in rows:
            with self.subTest(user=user.login):
                self.assertEqual(self.sees(user, self.assistant), sees)
                self.assertEqual(self.assistant._is_usable(user), uses)

    def test_an_assistant_of_a_company_is_unknown_in_others(self):
        self.assertTrue(self.assistant._is_usable(self.olga))
        self.assistant.company_id = self.env.company
        self.assertFalse(self.assistant._is_usable(self.olga))
        self.assertFalse(self.sees(self.olga, self.assistant))
        self.assertTrue(self.sees(self.ann, self.assistant))

    def test_a_change_of_who_may_use_an_assistant_holds_at_once(self):
        self.assertTrue(self.assistant._is_usable(self.ann))
        self.assistant.group_ids = self.env.ref("base.group_system")
        self.assertFalse(self.assistant._is_usable(self.ann))
        self.assistant.group_ids = False
        self.assertTrue(self.assistant._is_usable(self.ann))
        self.assistant.active = False
        self.assertFalse(self.assistant._is_usable(self.ann))

    def test_people_from_outside_use_no_assistant(self):
        for user in (self.paula, self.public):
            with self.subTest(user=user.login), self.assertRaises(AccessError):
                self.assistant.with_user(user).open_chat()

    def test_how_an_assistant_is_instructed_is_for_managers(self):
        self.assertEqual(self.assistant.with_user(self.mia).system_prompt, "Be brief.")
        with self.assertRaises(AccessError):
            self.assistant.with_user(self.ann).read(["system_prompt"])

    def test_a_personal_server_exists_for_its_owner_only(self):
        server = self.personal_server(self.ann)
        server.sudo()._take_over([offered("look")])
        tool = server.tool_ids
        for user in (self.ben, self.mia, self.admin):
            with self.subTest(user=user.login):
                self.assertFalse(self.sees(user, server))
                self.assertFalse(self.sees(user, tool))
                with self.assertRaises(AccessError):
                    server.with_user(user).write({"name": "Mine"})
        self.assertTrue(self.sees(self.ann, server))
        tool.with_user(self.ann).enabled = False

    def test_shared_servers_are_changed_by_managers(self):
        server = self.shared_server()
        server._take_over([offered("look")])
        self.assertTrue(self.sees(self.ann, server))
        for record, values in ((server, {"name": "Mine"}), (server.tool_ids, {"approval": "auto"})):
            with self.assertRaises(AccessError):
                record.with_user(self.ann).write(values)
            record.with_user(self.mia).write(values)

    def test_people_create_personal_servers_for_themselves_only(self):
        self.assertEqual(self.personal_server(self.ann).user_id, self.ann)
        with self.assertRaises(AccessError):
            self.personal_server(self.ann, user_id=self.ben.id)
        with self.assertRaises(AccessError):
            self.personal_server(self.ann, scope="shared")
        with self.assertRaises(AccessError):
            self.personal_server(self.ann).write({"scope": "shared"})
        with self.assertRaises(AccessError):
            self.personal_server(self.ann).write({"user_id": self.ben.id})

    def test_a_tools_definition_is_its_servers(self):
        server = self.personal_server(self.ann)
        server.sudo()._take_over([offered("look")])
        for values in ({"name": "other"}, {"read_only": True}, {"server_id": self.shared_server().id}):
            with self.assertRaises(AccessError):
                server.tool_ids.with_user(self.ann).write(values)

    def test_a_run_is_read_by_its_asker_its_conversation_and_managers(self):
        channel = self.group_chat(self.ann, self.ben)
        channel.with_user(self.ann).sudo().ai_assistant_id = self.assistant
        run = self.env["ai.run"].with_user(self.ann)._request(channel, self.assistant, self.say(channel, self.ann))
        carl = self.env["res.users"].create({
            "name": "Carl", "login": "carl", "group_ids": [Command.set(self.env.ref("base.group_user").ids)],
        })
        rows = [(self.ann, True), (self.ben, True), (carl, False), (self.mia, True), (self.olga, False)]
        for user, sees in rows:
            with self.subTest(user=user.login):
                self.assertEqual(self.sees(user, run.sudo()), sees)
