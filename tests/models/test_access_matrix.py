"""Who may do what: every kind of person × every model of ours, and every method of ours that can be called over RPC.

All of it is really done, as a call over RPC does it, and taken back. A model or a method without a row fails the test,
and so does a row without its model or method. Routes have their own matrix, in `tests/controllers`.
"""

from odoo import models
from odoo.exceptions import AccessError, UserError
from odoo.service.model import call_kw
from odoo.tests import new_test_user
from odoo.tools import mute_logger
from psycopg2 import IntegrityError

from .common import AiCase, offered

MODULE = "ai_discuss"
PEOPLE = ("public", "guest", "portal", "stranger", "member", "asker", "other", "manager", "admin")
"""Nobody in particular; a guest, a portal user and a colleague who are members of the asker's conversation; a colleague
who is none; the one who asked; somebody of another company; a manager and an administrator who are no members."""

MODELS = {  # what they may do: r(ead), w(rite), c(reate) another one, u(nlink)
    #                     public    guest     portal    stranger  member    asker     other     manager   admin
    "ai.provider":         ("",       "",       "",       "",       "",       "",       "",       "rwcu",   "rwcu"),
    "ai.model":            ("",       "",       "",       "",       "",       "",       "",       "rwcu",   "rwcu"),
    "ai.assistant":        ("",       "",       "",       "r",      "r",      "r",      "",       "rwcu",   "rwcu"),
    "ai.budget":           ("",       "",       "",       "",       "",       "",       "",       "rwcu",   "rwcu"),
    "mcp.server":          ("",       "",       "",       "r",      "r",      "r",      "",       "rwcu",   "rwcu"),
    "mcp.server personal": ("",       "",       "",       "c",      "c",      "rwcu",   "c",      "c",      "c"),
    "mcp.credential":      ("",       "",       "",       "c",      "c",      "rwcu",   "",       "c",      "c"),
    "mcp.tool":            ("",       "",       "",       "r",      "r",      "r",      "",       "rw",     "rw"),
    "mcp.tool personal":   ("",       "",       "",       "",       "",       "rw",     "",       "",       ""),
    "ai.run":              ("",       "",       "",       "",       "r",      "r",      "",       "r",      "r"),
    "ai.feedback":         ("",       "",       "",       "",       "",       "",       "",       "r",      "r"),
    "ai.tool.call":        ("",       "",       "",       "",       "r",      "r",      "",       "r",      "r"),
    "ai.approval.rule":    ("",       "",       "",       "",       "",       "ru",     "",       "ru",     "ru"),
    "ai.approval.rule personal": ("", "",       "",       "",       "",       "ru",     "",       "",       ""),
    "ai.run.event":        ("",       "",       "",       "",       "r",      "r",      "",       "r",      "r"),
    "discuss.channel":     ("",       "r",      "r",      "c",      "rwc",    "rwc",    "",       "c",      "rwcu"),
}
METHODS = {
    "ai.assistant.action_describe_model": "manager admin",
    "ai.assistant.action_open_chat": "stranger member asker manager admin",
    "ai.assistant.action_view_runs": "stranger member asker manager admin",
    "ai.assistant.action_view_tools": "stranger member asker manager admin",
    "ai.assistant.get_enabled_mcp_tools": "stranger member asker manager admin",
    "ai.assistant.open_chat": "stranger member asker manager admin",
    "ai.assistant.open_chat_about": "stranger member asker manager admin",
    "ai.budget.action_view_runs": "manager admin",
    "ai.provider.action_clear_api_key": "manager admin",
    "ai.provider.action_test_connection": "manager admin",
    "ai.provider.action_view_assistants": "manager admin",
    "ai.run.action_stop": "asker admin",
    "ai.run.action_view_settings": "manager admin",
    "ai.run.continue_reply": "asker",
    "ai.run.give_feedback": "member asker manager admin",
    "ai.run.regenerate": "asker",
    "ai.tool.call.action_approve": "asker admin",
    "ai.tool.call.action_deny": "asker admin",
    "discuss.channel.ai_attach_server": "asker",
    "discuss.channel.ai_detach_server": "asker",
    "discuss.channel.ai_fork": "member asker admin",
    "discuss.channel.ai_resend": "asker",
    "discuss.channel.ai_forget_record": "guest portal member asker admin",
    "discuss.channel.ai_servers": "guest portal member asker admin",
    "discuss.channel.ai_settings": "member asker admin",
    "discuss.channel.ai_switch_tool": "member asker admin",
    "discuss.channel.execute_command_ai_stop": "guest portal member asker admin",
    "discuss.channel.execute_command_ai_tools": "guest portal member asker admin",
    "discuss.channel.message_post": "portal member asker admin",
    "mcp.credential.action_clear_secrets": "asker",
    "mcp.credential.action_test_connection": "asker",
    "mcp.server.action_clear_secrets": "manager admin",
    "mcp.server.action_my_credentials": "stranger member asker manager admin",
    "mcp.server.action_sync_tools": "manager admin",
    "mcp.server.action_test_connection": "manager admin",
    "mcp.server.action_view_tools": "stranger member asker manager admin",
    "mcp.tool.action_accept_change": "manager admin",
    "res.partner.get_mention_suggestions_from_channel": " ".join(PEOPLE),  # outsiders find nobody
}


class TestAccessMatrix(AiCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.carl = new_test_user(cls.env, "carl", "base.group_user")
        cls.guest = cls.env["mail.guest"].create({"name": "Gustav"})
        cls.assistant.company_id = cls.env.company  # as each of them should be, for "other"
        cls.provider.company_id = cls.env.company
        cls.channel = cls.env["discuss.channel"].with_user(cls.ann)._create_group((cls.ann | cls.ben).partner_id.ids)
        cls.channel.sudo()._add_members(users=cls.paula, guests=cls.guest, post_joined_message=False)
        cls.channel.ai_assistant_id = cls.assistant
        cls.records = cls.world()

    @classmethod
    def world(cls):
        """One record of each kind, by the name of its row."""
        company = cls.env.company.id
        address = {"url": "http://127.0.0.1:1/mcp", "company_id": company}  # nobody answers there
        servers = cls.env["mcp.server"].create([
            {"name": "Shared", "scope": "shared", **address},
            {"name": "Own keys", "scope": "shared", "per_user": True, "auth_type": "bearer", **address},
        ])
        cls.assistant.mcp_server_ids = servers
        personal = cls.env["mcp.server"].with_user(cls.ann).create({
            "name": "Personal", "scope": "user", "url": "http://tools.example/mcp",
        })
        cls.channel.with_user(cls.ann).ai_attach_server(personal.id)
        for server in servers | personal.sudo():
            server._take_over([offered("look")])
        # the guard refuses it, so that nothing has to be resolved
        cls.env.cr.execute("UPDATE mcp_server SET url = 'http://127.0.0.1:1/mcp' WHERE id = %s", [personal.id])
        personal.invalidate_recordset(["url"])
        run = cls.channel.with_user(cls.ann)._ai_post("Hello?").sudo()
        run._begin(1)
        run.state = "waiting"
        call = cls.env["ai.tool.call"].create({
            "run_id": run.id, "call_id": "call_1", "tool_name": "look", "state": "approval",
        })
        event = cls.env["ai.run.event"].search([("run_id", "=", run.id)], limit=1)
        rules = cls.env["ai.approval.rule"].create([
            {
                "channel_id": cls.channel.id, "assistant_id": cls.assistant.id, "user_id": cls.ann.id,
                "tool_id": tool.id, "terms": "-",
            }
            for tool in (servers[0].tool_ids, personal.sudo().tool_ids)
        ])
        return {
            "ai.provider": cls.provider,
            "ai.model": cls.env["ai.model"].create({"provider_id": cls.provider.id, "name": "small"}),
            "ai.assistant": cls.assistant,
            "ai.budget": cls.env["ai.budget"].create({"name": "Budget", "company_id": company}),
            "mcp.server": servers[0],
            "mcp.server personal": personal.sudo(),
            "mcp.credential": cls.env["mcp.credential"].with_user(cls.ann).create({
                "server_id": servers[1].id, "token": "sk-anns",
            }).sudo(),
            "mcp.tool": servers[0].tool_ids,
            "mcp.tool personal": personal.sudo().tool_ids,
            "ai.run": run,
            "ai.feedback": cls.env["ai.feedback"].create({"run_id": run.id, "user_id": cls.ben.id, "rating": "up"}),
            "ai.tool.call": call,
            "ai.approval.rule": rules[0],
            "ai.approval.rule personal": rules[1],
            "ai.run.event": event,
            "discuss.channel": cls.channel.sudo(),
            "res.partner": cls.assistant.partner_id,
        }

    VALUES = {  # to write, and to create one
        "ai.provider": ({"name": "New"}, {"name": "New", "base_url": "http://new.example/v1"}),
        "ai.model": ({"name": "new"}, lambda self: {"name": "new", "provider_id": self.provider.id}),
        "ai.assistant": ({"name": "New"}, lambda self: {"name": "New", "provider_id": self.provider.id, "model": "m"}),
        "ai.budget": ({"name": "New"}, {"name": "New"}),
        "mcp.server": ({"name": "New"}, {"name": "New", "scope": "shared", "url": "http://new.example/mcp"}),
        "mcp.server personal": ({"name": "New"}, {"name": "New", "scope": "user", "url": "http://new.example/mcp"}),
        "mcp.credential": ({"token": "new"}, lambda self: {
            "token": "new", "server_id": self.records["mcp.credential"].server_id.id,
        }),
        "mcp.tool": ({"approval": "ask"}, lambda self: {"name": "new", "server_id": self.records["mcp.server"].id}),
        "mcp.tool personal": ({"approval": "ask"}, lambda self: {
            "name": "new", "server_id": self.records["mcp.server personal"].id,
        }),
        "ai.feedback": ({"comment": "New"}, lambda self: {
            "run_id": self.records["ai.run"].id, "user_id": self.mia.id, "rating": "up",
        }),
        "ai.run": ({"text": "New"}, lambda self: {"assistant_id": self.assistant.id, "user_id": self.ann.id}),
        "ai.tool.call": ({"response": "New"}, lambda self: {
            "run_id": self.records["ai.run"].id, "call_id": "new", "tool_name": "new",
        }),
        "ai.approval.rule": ({"user_id": 1}, lambda self: self.rule_for("mcp.tool")),
        "ai.approval.rule personal": ({"user_id": 1}, lambda self: self.rule_for("mcp.tool personal")),
        "ai.run.event": ({"payload": {}}, lambda self: {
            "run_id": self.records["ai.run"].id, "attempt": 1, "seq": 99, "payload": {},
        }),
        "discuss.channel": ({"ai_reply_mode": "off"}, lambda self: {
            "name": "New", "ai_assistant_id": self.assistant.id,
        }),
    }

    ARGUMENTS = {
        "ai_attach_server": lambda self: [self.records["mcp.server personal"].id],
        "open_chat_about": lambda self: ["res.partner", self.assistant.partner_id.id],
        "ai_detach_server": lambda self: [self.records["mcp.server personal"].id],
        "ai_fork": lambda self: [self.records["ai.run"].trigger_message_id.id],
        "ai_resend": lambda self: [self.records["ai.run"].trigger_message_id.id],
        "give_feedback": ["up"],
        "ai_switch_tool": lambda self: [self.records["mcp.tool"].id, False],
        "get_mention_suggestions_from_channel": lambda self: [self.channel.id, "Zed"],
    }

    def test_every_model_has_a_row(self):
        ours = {name for name, model in self.env.registry.items() if model._original_module == MODULE}
        self.assertEqual(
            {row.partition(" ")[0] for row in MODELS} - {"discuss.channel"},
            {name for name in ours if not self.env[name]._abstract},
        )

    def test_q47_every_row_of_a_model_is_true(self):
        for row, cells in MODELS.items():
            for person, letters in zip(PEOPLE, cells, strict=True):
                with self.subTest(row=row, person=person):
                    self.assertEqual(self.allowed(person, row), letters)

    def test_every_public_method_has_a_row(self):
        self.assertEqual(set(METHODS), public_methods(self.env))

    def test_q47_every_row_of_a_method_is_true(self):
        for row, people in METHODS.items():
            with self.subTest(row=row):
                self.assertEqual(" ".join(person for person in PEOPLE if self.may_call(person, row)), people)

    def allowed(self, person, row):
        """The letters of what `person` may do with the record of `row`. To read it is to find it, too."""
        record = self.as_seen_by(person, self.records[row])
        values, new = self.VALUES[row]
        new = new(self) if callable(new) else new
        operations = {  # `f` alone: found and not read
            "f": lambda: record.search([("id", "=", record.id)]) or self.refuse(),
            "r": lambda: self.call(record, "read", record.ids, list(values)),
            "w": lambda: self.call(record, "write", record.ids, values),
            "c": lambda: self.call(record, "create", [new]),
            "u": lambda: self.call(record, "unlink", record.ids),
        }
        letters = [letter for letter, operation in operations.items() if self.is_allowed(operation)]
        return "".join(letters).replace("fr", "r")

    def rule_for(self, row):
        return {
            "channel_id": self.channel.id, "assistant_id": self.assistant.id, "user_id": self.ben.id,
            "tool_id": self.records[row].id, "terms": "new",
        }

    def may_call(self, person, row):
        """Whether `person` may call this method of the record of its model."""
        model, _, method = row.rpartition(".")
        record = self.as_seen_by(person, self.records[model])
        arguments = self.ARGUMENTS.get(method, ())
        arguments = arguments(self) if callable(arguments) else arguments
        is_of_model = getattr(getattr(record, method), "_api_model", False)
        return self.is_allowed(lambda: self.call(record, method, *([] if is_of_model else [record.ids]), *arguments))

    def call(self, record, method, *arguments):
        return call_kw(record, method, arguments, {"context": record.env.context})

    def as_seen_by(self, person, records):
        user = {
            "public": self.public, "guest": self.public, "portal": self.paula, "stranger": self.carl,
            "member": self.ben, "asker": self.ann, "other": self.olga, "manager": self.mia, "admin": self.admin,
        }[person]
        context = {"guest": self.guest} if person == "guest" else {}
        return records.browse(records.ids).with_env(self.env(user=user, su=False, context=context))

    def is_allowed(self, operation):
        """Whether nobody objects; what else keeps it from being done is another matter. Nothing of it is kept."""
        savepoint = self.env.cr.savepoint(flush=True)
        try:
            with mute_logger("odoo.sql_db", "odoo.addons.base.models.ir_model", "odoo.addons.base.models.ir_rule"):
                operation()
                self.env.flush_all()
        except AccessError:
            return False
        except (UserError, IntegrityError):
            return True
        finally:
            savepoint.rollback()
            savepoint.close()
            self.env.invalidate_all(flush=False)
        return True

    def refuse(self):
        raise AccessError("Not found.")


def public_methods(env):
    """What of ours can be called over RPC, the operations of the ORM aside."""
    return {
        f"{name}.{method}"
        for name, model in env.registry.items() if not model._abstract
        for cls in model.__mro__ if getattr(cls, "__module__", "").startswith(f"odoo.addons.{MODULE}.")
        for method, function in vars(cls).items()
        if callable(function) and not method.startswith("_") and not hasattr(models.BaseModel, method)
        and not getattr(function, "_api_private", False)
    }
