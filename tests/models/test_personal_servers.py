"""Personal servers in conversations: whose questions they serve, who decides that, and when it ends."""

from odoo import SUPERUSER_ID
from odoo.exceptions import AccessError, ValidationError
from odoo.fields import Command
from odoo.tests import Form

from .common import AiCase, offered


class TestPersonalServers(AiCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.channel = cls.group_chat(cls, cls.ann, cls.ben)
        cls.mine = cls.personal_server(cls, cls.ann)
        cls.mine.sudo()._take_over([offered("note")])

    def attached(self, server=None):
        """Where the server is attached, and where it is shared."""
        server = (server or self.mine).sudo()
        server.invalidate_recordset()
        return server.channel_ids, server.shared_channel_ids

    def tools(self, user):
        """What assistants offer for what this person asks in the conversation."""
        return set(self.assistant._run_tools(self.channel.with_user(user), user).mapped("name"))

    def told(self, user):
        return [
            (server["name"], server["owner"], server["mine"], server["shared"])
            for server in self.channel.with_user(user).ai_servers()
        ]

    # -- whose questions

    def test_an_attached_server_serves_its_owners_questions_only(self):
        self.channel.with_user(self.ann).ai_attach_server(self.mine.id)
        self.assertEqual(self.tools(self.ann), {"note"})
        self.assertEqual(self.tools(self.ben), set())
        self.assertEqual(self.told(self.ann), [("Tools of ann", self.ann.name, True, False)])
        self.assertEqual(self.told(self.ben), [])

    def test_a_shared_one_serves_everybody_there_until_it_is_shared_no_more(self):
        channel = self.channel.with_user(self.ann)
        channel.ai_attach_server(self.mine.id, share=True)
        self.assertEqual((self.tools(self.ann), self.tools(self.ben)), ({"note"}, {"note"}))
        self.assertEqual(self.told(self.ben), [("Tools of ann", self.ann.name, False, True)])
        self.assertEqual(self.tools(self.mia), set())  # who is no member
        channel.ai_attach_server(self.mine.id)
        self.assertEqual((self.tools(self.ann), self.tools(self.ben)), ({"note"}, set()))

    def test_a_seat_in_one_conversation_tells_nothing_of_another(self):
        self.channel.with_user(self.ann).ai_attach_server(self.mine.id, share=True)
        elsewhere = self.group_chat(self.mia)
        with self.assertRaises(ValueError):
            (self.channel | elsewhere).with_user(self.mia).ai_servers()

    def test_many_attached_servers_cost_no_more_queries_than_one(self):
        def queries():
            self.env.invalidate_all()
            before = self.env.cr.sql_log_count
            self.channel.with_user(self.ben).ai_servers()
            return self.env.cr.sql_log_count - before

        self.channel.with_user(self.ann).ai_attach_server(self.mine.id, share=True)
        queries()  # what is cached for long
        of_one = queries()
        for _number in range(5):
            self.channel.with_user(self.ann).ai_attach_server(self.personal_server(self.ann).id, share=True)
        self.assertEqual(len(self.told(self.ben)), 6)
        self.assertEqual(queries(), of_one)

    def test_what_is_shared_serves_nobody_from_outside(self):
        self.channel.sudo()._add_members(partners=self.paula.partner_id)
        self.channel.with_user(self.ann).ai_attach_server(self.mine.id, share=True)
        self.assertEqual(self.told(self.paula), [])
        self.assertEqual(len(self.told(self.ben)), 1)

    def test_whose_account_is_used_is_part_of_the_name_that_others_see(self):
        self.assertEqual(self.mine._spec(self.ann).name, "Tools of ann")
        self.assertEqual(self.mine._spec(self.ben).name, f"Tools of ann (of {self.ann.name})")

    # -- who decides

    def test_only_the_owner_attaches_shares_and_detaches(self):
        theirs = self.personal_server(self.ben)
        self.channel.with_user(self.ann).ai_attach_server(self.mine.id)
        for user in (self.ben, self.mia, self.admin):
            channel = self.channel.with_user(user)
            for attempt in (
                lambda channel=channel: channel.ai_attach_server(self.mine.id, share=True),
                lambda channel=channel: channel.ai_detach_server(self.mine.id),
                lambda channel=channel: channel.write({"shared_mcp_server_ids": [Command.link(self.mine.id)]}),
                lambda channel=channel: channel.sudo().write({"user_mcp_server_ids": [Command.unlink(self.mine.id)]}),
                lambda channel=channel: channel.sudo().write({"shared_mcp_server_ids": [Command.link(self.mine.id)]}),
            ):
                with self.subTest(user=user.login), self.assertRaises(AccessError), self.env.cr.savepoint():
                    attempt()
        self.channel.with_user(self.ben).user_mcp_server_ids = [Command.unlink(self.mine.id)]  # which Ben cannot see
        self.channel.with_user(self.ben).user_mcp_server_ids = [Command.set(theirs.ids)]
        self.assertEqual(self.channel._ai_attached_servers(), self.mine | theirs)

    def test_a_server_is_attached_where_its_owner_is_a_member(self):
        open_channel = self.env["discuss.channel"].with_user(self.ben)._create_channel("Open", None)
        with self.assertRaises(ValidationError), self.env.cr.savepoint():
            open_channel.with_user(self.ann).ai_attach_server(self.mine.id)
        with self.assertRaises(ValidationError), self.env.cr.savepoint():
            open_channel.with_user(self.ann).user_mcp_server_ids = self.mine
        private = self.group_chat(self.ben, self.mia)
        with self.assertRaises(AccessError), self.env.cr.savepoint():
            private.with_user(self.ann).ai_attach_server(self.mine.id)

    def test_a_shared_server_of_managers_is_not_attached(self):
        for user in (self.ann, self.mia):
            with self.subTest(user=user.login), self.assertRaises(AccessError), self.env.cr.savepoint():
                self.channel.with_user(user).ai_attach_server(self.shared_server().id)

    def test_a_new_conversation_takes_no_servers_of_others(self):
        with self.assertRaises(AccessError):
            self.env["discuss.channel"].with_user(self.ben).sudo().create({
                "name": "Mine", "channel_type": "group", "user_mcp_server_ids": self.mine.ids,
            })

    def test_only_what_is_attached_can_be_shared(self):
        with self.assertRaises(ValidationError):
            self.mine.shared_channel_ids = self.channel

    def test_the_owner_attaches_and_shares_on_the_servers_form_and_is_warned(self):
        with Form(self.mine) as form:
            form.channel_ids.add(self.channel)
        self.assertEqual(self.attached(), (self.channel, self.channel.browse()))
        spec = {"channel_ids": {"fields": {}}, "shared_channel_ids": {"fields": {}}}
        shared = {"shared_channel_ids": [Command.link(self.channel.id)]}
        warning = self.mine.onchange(shared, ["shared_channel_ids"], spec)["warning"]
        self.assertIn("Everyone in Group will be able to use them as you", warning["message"])
        with Form(self.mine) as form:
            form.shared_channel_ids.add(self.channel)
        self.assertEqual(self.attached(), (self.channel, self.channel))
        with Form(self.mine) as form:
            form.channel_ids.remove(self.channel.id)
        self.assertEqual(self.attached(), (self.channel.browse(), self.channel.browse()))

    # -- when it ends

    def test_a_share_ends_with_its_attachment(self):
        for detach in (
            lambda: self.channel.with_user(self.ann).ai_detach_server(self.mine.id),
            lambda: self.channel.with_user(self.ann).write({"user_mcp_server_ids": [Command.unlink(self.mine.id)]}),
            lambda: self.mine.write({"channel_ids": [Command.clear()]}),
        ):
            self.channel.with_user(self.ann).ai_attach_server(self.mine.id, share=True)
            detach()
            self.assertEqual(self.attached(), (self.channel.browse(), self.channel.browse()))
            self.assertEqual((self.tools(self.ann), self.tools(self.ben)), (set(), set()))

    def test_what_a_member_brought_leaves_with_them_and_does_not_come_back(self):
        theirs = self.personal_server(self.ben)
        self.channel.with_user(self.ann).ai_attach_server(self.mine.id, share=True)
        self.channel.with_user(self.ben).ai_attach_server(theirs.id)
        self.channel.with_user(self.ann).action_unfollow()
        self.assertEqual(self.channel._ai_attached_servers(), theirs)
        self.channel.with_user(self.ben).add_members(self.ann.partner_id.ids)
        self.assertEqual(self.attached(), (self.channel.browse(), self.channel.browse()))

    def test_whoever_removes_a_member_removes_their_servers(self):
        self.channel.with_user(self.ann).ai_attach_server(self.mine.id, share=True)
        seat = self.channel.sudo().channel_member_ids.filtered(lambda member: member.partner_id == self.ann.partner_id)
        seat.with_user(self.admin).unlink()
        self.assertFalse(self.channel._ai_attached_servers())

    def test_it_is_withdrawn_everywhere_when_it_or_its_owner_is_archived_or_changed(self):
        other = self.group_chat(self.ann, self.mia)
        for withdraw in (
            self.mine.action_archive,
            self.ann.with_user(self.admin).action_archive,
            lambda: self.mine.with_user(SUPERUSER_ID).write({"user_id": self.ben.id}),
            lambda: self.mine.with_user(SUPERUSER_ID).write({"scope": "shared"}),
        ):
            with self.env.cr.savepoint() as savepoint:
                self.channel.with_user(self.ann).ai_attach_server(self.mine.id, share=True)
                other.with_user(self.ann).ai_attach_server(self.mine.id)
                other.sudo().active = False  # an archived conversation may come back
                withdraw()
                self.assertEqual(self.attached(), (self.channel.browse(), self.channel.browse()))
                savepoint.rollback()
                self.env.invalidate_all()

    def test_it_is_gone_with_its_owner_or_itself(self):
        self.channel.with_user(self.ann).ai_attach_server(self.mine.id, share=True)
        self.mine.with_user(self.ann).unlink()
        self.assertFalse(self.channel._ai_attached_servers())
        leaver = self.env["res.users"].create({"name": "Leaver", "login": "leaver"})
        self.channel.with_user(self.ben).add_members(leaver.partner_id.ids)
        theirs = self.personal_server(leaver)
        self.channel.with_user(leaver).ai_attach_server(theirs.id)
        leaver.unlink()
        self.assertFalse(theirs.sudo().exists())

    def test_a_copy_is_attached_nowhere(self):
        self.channel.with_user(self.ann).ai_attach_server(self.mine.id, share=True)
        self.assertEqual(self.attached(self.mine.copy()), (self.channel.browse(), self.channel.browse()))

    # -- setting one up

    def test_people_set_up_their_own_on_its_form(self):
        new = self.env["mcp.server"].with_user(self.ann).with_context(default_scope="user")
        with Form(new, view="ai_discuss.mcp_server_view_form") as form:
            form.name, form.url = "Notes", "https://notes.example.com/mcp"
            form.auth_type, form.token = "bearer", "sk-anns"
        server = form.record
        self.assertEqual((server.scope, server.user_id, server.has_token), ("user", self.ann, True))
        server.sudo()._take_over([offered("list"), offered("burn")])
        with Form(server) as form:
            form.channel_ids.add(self.channel)
            for place in range(2):
                with form.tool_ids.edit(place) as tool:
                    tool.enabled = tool.name == "list"
        self.assertEqual(self.tools(self.ann), {"list"})

    # -- addresses

    def test_people_are_told_at_once_that_an_address_is_internal(self):
        for url in ("http://127.0.0.1:8080/mcp", "http://localhost/mcp", "http://[::1]/mcp", "http://2130706433/mcp"):
            with self.subTest(url=url):
                with self.assertRaisesRegex(ValidationError, "private network, which only administrators"):
                    self.personal_server(self.ann, url=url)
                with self.assertRaises(ValidationError):
                    self.mine.url = url
                self.personal_server(self.admin, url=url)
                self.shared_server(url=url)

    def test_a_name_that_says_nothing_of_its_address_is_judged_by_whoever_connects(self):
        self.assertTrue(self.personal_server(self.ann, url="http://intranet/mcp")._spec(self.ann).guarded)
