"""Who and what the tests of the models are about: people of two companies, a provider, an assistant."""

from types import SimpleNamespace

from odoo.fields import Command
from odoo.tests import TransactionCase, new_test_user, tagged


@tagged("standard")
class AiCase(TransactionCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env = cls.env(context={**cls.env.context, "tracking_disable": True})
        cls.other_company = cls.env["res.company"].create({"name": "Elsewhere"})
        cls.ann = new_test_user(cls.env, "ann", "base.group_user")
        cls.ben = new_test_user(cls.env, "ben", "base.group_user")
        cls.mia = new_test_user(cls.env, "mia", "base.group_user,ai_discuss.group_ai_manager")
        cls.admin = new_test_user(cls.env, "root2", "base.group_system")
        cls.paula = new_test_user(cls.env, "paula", "base.group_portal")
        cls.olga = new_test_user(
            cls.env, "olga", "base.group_user",
            company_id=cls.other_company.id, company_ids=[Command.set(cls.other_company.ids)],
        )
        cls.public = cls.env.ref("base.public_user")
        cls.provider = cls.env["ai.provider"].create({
            "name": "Provider", "base_url": "http://127.0.0.1:1/v1", "api_key": "sk-very-secret",
        })
        cls.assistant = cls.env["ai.assistant"].create({
            "name": "Zed Helper", "provider_id": cls.provider.id, "model": "small", "system_prompt": "Be brief.",
        })

    def personal_server(self, user, **values):
        return self.env["mcp.server"].with_user(user).create({
            "name": f"Tools of {user.login}", "scope": "user", "url": "http://tools.example/mcp", **values,
        })

    def shared_server(self, **values):
        return self.env["mcp.server"].create({
            "name": "Shared tools", "scope": "shared", "url": "http://shared.example/mcp", **values,
        })

    def group_chat(self, *users):
        """A group of these people, as the first of them."""
        partners = self.env["res.users"].union(*users).partner_id
        return self.env["discuss.channel"].with_user(users[0])._create_group(partners.ids, name="Group")

    def say(self, channel, user, body="Hello", **kwargs):
        """Post as the web client does: with sudo, as the person."""
        kwargs = {"message_type": "comment", "subtype_xmlid": "mail.mt_comment", **kwargs}
        return channel.with_user(user).sudo().message_post(body=body, **kwargs)

    def runs_of(self, channel):
        return self.env["ai.run"].search([("channel_id", "=", channel.id)])


class RunCase(TransactionCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        provider = cls.env["ai.provider"].create({"name": "Provider", "base_url": "http://127.0.0.1:1/v1"})
        cls.assistant = cls.env["ai.assistant"].create(
            {"name": "Botty", "provider_id": provider.id, "model": "scripted"}
        )
        cls.ann = new_test_user(cls.env, "ann-run", "base.group_user")
        cls.bob = new_test_user(cls.env, "bob-run", "base.group_user")
        cls.boss = new_test_user(cls.env, "boss-run", "base.group_user,ai_discuss.group_ai_manager")
        cls.channel = cls.env["discuss.channel"].browse(cls.assistant.with_user(cls.ann).open_chat(new=True))

    def request(self, text="Hello?", key=None):
        return self.channel.with_user(self.ann)._ai_post(text, idempotency_key=key)

    def running(self, attempt=1):
        run = self.request().sudo()
        self.assertTrue(run._begin(attempt))
        return run

    def call(self, run, state="pending", call_id="call1"):
        return self.env["ai.tool.call"].create(
            {"run_id": run.id, "call_id": call_id, "tool_name": "look_up", "round": 1, "state": state}
        )

    def jobs(self, run):
        self.env.cr.execute(
            "SELECT status::text, lock, priority, (args->>'attempt')::int FROM procrastinate_jobs"
            " WHERE args->>'run_id' = %s ORDER BY id",
            [str(run.id)],
        )
        return self.env.cr.fetchall()

    def frames(self, run):
        return [event.payload for event in self.env["ai.run.event"].search([("run_id", "=", run.id)])]

    def kinds(self, run):
        return [frame["type"] for frame in self.frames(run)]

    def last_message(self):
        return self.channel.message_ids[:1]


def offered(name, **values):
    """A tool as a server lists it."""
    return SimpleNamespace(**{
        "name": name, "title": "", "description": f"Does {name}.", "input_schema": {"type": "object"},
        "read_only": False, "destructive": False, "idempotent": False, **values,
    })
