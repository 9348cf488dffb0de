"""What cannot be stored, and who may not store it."""

from contextlib import contextmanager
from xmlrpc.client import dumps

from odoo.addons.ai_discuss.models.common import notification
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tools import config, mute_logger
from psycopg2 import IntegrityError

from .common import AiCase


class TestConstraints(AiCase):
    @contextmanager
    def commands_switched(self, value):
        before = config.options.get("ai_discuss_stdio")
        config["ai_discuss_stdio"] = value
        try:
            yield
        finally:
            config["ai_discuss_stdio"] = before

    def test_names_and_addresses_have_to_make_sense(self):
        attempts = [
            ("ai.provider", {"name": " ", "base_url": "http://a.example"}),
            ("ai.provider", {"name": "P", "base_url": "ftp://a.example"}),
            ("ai.provider", {"name": "P", "base_url": "http://user:password@a.example"}),
            ("ai.provider", {"name": "P", "base_url": "http://a.example:port"}),
            ("ai.assistant", {"name": " "}),
            ("ai.assistant", {"name": "A", "temperature": 3}),
            ("mcp.server", {"name": " ", "url": "http://a.example"}),
            ("mcp.server", {"name": "S"}),
            ("mcp.server", {"name": "S", "url": "a.example/mcp"}),
            ("mcp.server", {"name": "S", "url": "file:///etc/passwd"}),
        ]
        for model, values in attempts:
            with self.subTest(model=model, **values), self.assertRaises(ValidationError):
                self.env[model].create(values)

    @mute_logger("odoo.sql_db")
    def test_limits_have_to_make_sense(self):
        attempts = [
            (self.provider, {"timeout": 0}),
            (self.shared_server(), {"timeout": -1}),
            (self.assistant, {"max_rounds": 0}),
            (self.assistant, {"max_rounds": 51}),
        ]
        for record, values in attempts:
            with self.subTest(**values), self.assertRaises(IntegrityError), self.env.cr.savepoint():
                record.write(values)
                record.flush_recordset()

    def test_an_assistant_cannot_be_given_a_personal_server(self):
        server = self.personal_server(self.mia)
        with self.assertRaises(ValidationError):
            self.assistant.mcp_server_ids = server

    def test_a_given_temperature_is_used_and_none_is_not(self):
        self.assertFalse(self.assistant.set_temperature)
        self.assistant.temperature = 0
        self.assertTrue(self.assistant.set_temperature)

    def test_commands_are_off_unless_switched_on(self):
        with self.commands_switched(False), self.assertRaises(ValidationError):
            self.shared_server(transport="stdio", command="cat")

    def test_commands_are_set_up_by_system_administrators_only(self):
        with self.commands_switched("True"):
            server = self.shared_server(transport="stdio", command="cat")
            for user in (self.mia, self.ann):
                with self.subTest(user=user.login), self.assertRaises(AccessError):
                    self.personal_server(user, transport="stdio", command="cat")
            with self.assertRaises(AccessError):
                server.with_user(self.mia).command = "rm"
            self.personal_server(self.admin, transport="stdio", command="cat")

    def test_a_command_is_shown_to_system_administrators_only_because_keys_may_be_in_it(self):
        with self.commands_switched("True"):
            server = self.shared_server(transport="stdio", command="cat", args="--key secret")
        for user in (self.ann, self.mia):
            with self.assertRaises(AccessError):
                server.with_user(user).read(["args"])
            with self.assertRaises(AccessError):
                server.with_user(user).search([("command", "=", "cat")])
            self.assertNotIn("args", server.with_user(user).read()[0])
        self.assertEqual(server.with_user(self.admin).args, "--key secret")

    def test_whoever_sees_no_command_copies_a_server_without_one(self):
        mine = self.personal_server(self.ann)
        self.assertEqual(mine.copy().url, mine.url)
        with self.commands_switched("True"):
            server = self.shared_server(transport="stdio", command="cat", args="a b")
            self.assertEqual(server.with_user(self.admin).copy().args, "a b")
            with self.assertRaises(UserError):
                server.with_user(self.mia).copy()

    def test_a_command_that_was_set_up_does_not_start_once_they_are_off(self):
        with self.commands_switched("True"):
            server = self.shared_server(transport="stdio", command="uvx", args="a --zone 'Europe/Vienna x'")
            self.assertEqual(server._spec(self.ann).args, ("a", "--zone", "Europe/Vienna x"))
            server.args = '["a b", "c"]'
            self.assertEqual(server._spec(self.ann).args, ("a b", "c"))
        with self.commands_switched(False), self.assertRaises(AccessError):
            server._spec(self.ann)

    def test_arguments_have_to_be_readable(self):
        with self.commands_switched("True"):
            for args in ("'open", '["a", 1]', "[oops"):
                with self.subTest(args=args), self.assertRaises(ValidationError):
                    self.shared_server(transport="stdio", command="cat", args=args)

    def test_addresses_of_people_are_guarded_unless_they_administer_the_system(self):
        self.assertTrue(self.personal_server(self.ann)._spec(self.ann).guarded)
        self.assertTrue(self.personal_server(self.mia)._spec(self.ann).guarded)
        self.assertFalse(self.personal_server(self.admin)._spec(self.ann).guarded)
        self.assertFalse(self.shared_server()._spec(self.ann).guarded)

    def test_an_address_is_guarded_by_who_has_entered_it(self):
        for model, field, values in (
            ("ai.provider", "base_url", {"name": "Own"}), ("mcp.server", "url", {"name": "Own", "scope": "shared"}),
        ):
            with self.subTest(model=model):
                mias = self.env[model].with_user(self.mia).create({**values, field: "http://one.example/"})
                admins = self.env[model].with_user(self.admin).create({**values, field: "http://10.0.0.1/"})
                self.assertEqual((mias._is_guarded(), admins._is_guarded()), (True, False))
                with self.assertRaises(AccessError):
                    mias.write({"guarded": False})
                with self.assertRaises(AccessError):
                    mias.with_context(default_guarded=False).create({**values, field: "http://one.example/"})
                admins.with_user(self.mia).write({"name": "Renamed", field: "http://10.0.0.1/"})
                self.assertFalse(admins._is_guarded())
                for change in ({field: "http://10.0.0.2/"}, {field: "http://localhost:11434/v1"}):
                    with self.assertRaises(ValidationError), self.cr.savepoint():
                        admins.with_user(self.mia).write(change)
                admins.with_user(self.mia).write({field: "http://two.example/"})
                self.assertTrue(admins._is_guarded())
                admins.write({field: "http://two.example/"})
                self.assertFalse(admins._is_guarded())
                with self.assertRaises(ValidationError), self.cr.savepoint():
                    mias.with_user(self.mia).copy({field: "http://127.0.0.1/"})
                mias.with_user(self.admin).guarded = False
                self.assertFalse(mias._is_guarded())

    def test_what_guards_an_address_reaches_whoever_calls_it(self):
        provider = self.env["ai.provider"].with_user(self.mia).create({"name": "P", "base_url": "http://one.example"})
        self.assertTrue(provider._model_spec("small").guarded)
        self.assertFalse(self.provider._model_spec("small").guarded)
        shared = self.env["mcp.server"].with_user(self.mia).create({"name": "S", "scope": "shared", "url": "http://x.y"})
        self.assertTrue(shared._spec(self.ann).guarded)

    def test_the_partner_of_an_assistant_follows_it_and_stays(self):
        partner = self.assistant.partner_id
        self.assertEqual((partner.name, partner.email, partner.active), ("Zed Helper", False, True))
        self.assistant.with_user(self.mia).write({"name": "Zoe", "active": False})
        self.assertEqual((partner.name, partner.active), ("Zoe", False))
        with self.assertRaises(UserError):
            partner.unlink()
        self.assistant.unlink()
        self.assertTrue(partner.exists())
        self.assertFalse(partner.active)

    def test_an_assistant_is_given_no_persons_contact_and_none_that_its_maker_may_not_change(self):
        self.mia.group_ids -= self.env.ref("base.group_partner_manager")
        contact = self.env["res.partner"].create({"name": "Customer"})
        for user, partner, refusal in (
            (self.admin, self.ann.partner_id, ValidationError),
            (self.mia, self.ann.partner_id, AccessError),
            (self.mia, contact, AccessError),
        ):
            with self.assertRaises(refusal), self.env.cr.savepoint():
                self.env["ai.assistant"].with_user(user).create({"name": "Impostor", "partner_id": partner.id})
            with self.assertRaises(refusal), self.env.cr.savepoint():
                self.assistant.with_user(user).partner_id = partner

    def test_the_answer_of_a_button_can_be_sent_over_xml_rpc(self):
        for title in (None, "Title"):
            dumps((notification("Connected.", title=title),), methodresponse=True)

    def test_an_assistant_that_was_asked_is_archived_instead_of_deleted(self):
        channel = self.env["discuss.channel"].browse(self.assistant.with_user(self.ann).open_chat())
        self.say(channel, self.ann)
        spare = self.env["ai.assistant"].create({"name": "Spare"})
        with self.assertRaisesRegex(UserError, r"\(Zed Helper\).*Archive"):
            (self.assistant | spare).with_user(self.mia).unlink()
        self.assertTrue(self.runs_of(channel))
        spare.with_user(self.mia).unlink()
        self.assertFalse(spare.exists())
