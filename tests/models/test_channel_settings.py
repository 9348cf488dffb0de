"""The panel of a conversation: what it tells whom, and who switches tools off there."""

from odoo.addons.mail.tools.discuss import Store
from odoo.exceptions import AccessError, UserError
from odoo.fields import Command

from .common import AiCase, offered


class TestChannelSettings(AiCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = cls.shared_server(cls)
        cls.server._take_over([offered("look", read_only=True), offered("burn", destructive=True)])
        cls.look, cls.burn = cls.server.tool_ids.sorted("name", reverse=True)
        cls.burn.approval = "ask"
        cls.assistant.mcp_server_ids = cls.server
        cls.assistant.description = "Looks after things."
        cls.channel = cls.group_chat(cls, cls.ann, cls.ben)
        cls.channel.ai_assistant_id = cls.assistant
        cls.mine = cls.personal_server(cls, cls.ann)
        cls.mine.sudo()._take_over([offered("note")])
        cls.note = cls.mine.sudo().tool_ids

    def settings(self, user, channel=None):
        return (channel or self.channel).with_user(user).ai_settings()

    def switches(self, user):
        """Each tool that the person is shown: whether it is on, and whether it is theirs to switch."""
        return {tool["name"]: (tool["on"], tool["can_switch"]) for tool in self.settings(user)["tools"]}

    def switch(self, user, tool, on):
        self.channel.with_user(user).ai_switch_tool(tool.id, on)

    def tools(self, user):
        """What runs of this person here may use, asked in both ways."""
        tools = self.assistant._run_tools(self.channel.with_user(user), user)
        each = (self.look | self.burn | self.note).sudo()
        self.assertEqual(
            tools, each.filtered(lambda tool: tool._is_offered(self.assistant, self.channel.with_user(user), user))
        )
        return set(tools.mapped("name"))

    # -- what it tells

    def test_it_tells_who_answers_when_and_with_which_tools(self):
        told = self.settings(self.ann)
        self.assertEqual((told["assistant_id"], told["reply_mode"]), (self.assistant.id, "mention"))
        self.assertIn(("always", "To every message"), told["reply_modes"])
        self.assertIn(
            {"id": self.assistant.id, "name": "Zed Helper", "description": "Looks after things."}, told["assistants"]
        )
        self.assertEqual(
            [(tool["name"], tool["asks"], tool["read_only"], tool["destructive"]) for tool in told["tools"]],
            [("burn", True, False, True), ("look", False, True, False)],
        )
        self.assertTrue(told["can_change"] and told["can_choose"] and told["is_member"])

    def test_without_an_assistant_there_are_no_tools(self):
        self.assertEqual(self.settings(self.ann, self.group_chat(self.ann))["tools"], [])

    def test_in_a_chat_there_is_nobody_else_to_choose(self):
        chat = self.env["discuss.channel"].browse(self.assistant.with_user(self.ann).open_chat())
        told = self.settings(self.ann, chat)
        self.assertEqual((told["can_change"], told["can_choose"]), (True, False))

    def test_who_may_not_use_the_assistant_sees_its_name_and_not_its_tools(self):
        self.assistant.group_ids = self.env.ref("ai_discuss.group_ai_manager")
        told = self.settings(self.ben)
        self.assertIn("Zed Helper", [assistant["name"] for assistant in told["assistants"]])
        self.assertEqual(told["tools"], [])
        self.assertEqual(len(self.settings(self.mia, self.manager_chat())["tools"]), 2)

    def manager_chat(self):
        channel = self.group_chat(self.mia)
        channel.ai_assistant_id = self.assistant
        return channel

    def test_it_is_for_people_who_work_here_and_may_read_the_conversation(self):
        self.channel.sudo()._add_members(users=self.paula, post_joined_message=False)
        for user in (self.paula, self.olga, self.public):
            with self.subTest(user=user.login), self.assertRaises(AccessError):
                self.settings(user)

    def test_own_servers_are_told_wherever_they_are_used_and_those_of_others_where_they_are_shared(self):
        def told(user):
            return [(server["name"], server["mine"]) for server in self.settings(user)["servers"]]

        self.assertEqual((told(self.ann), told(self.ben)), ([("Tools of ann", True)], []))
        [server] = self.settings(self.ann)["servers"]
        self.assertEqual((server["attached"], server["shared"], server["tool_count"]), (False, False, 1))
        self.channel.with_user(self.ann).ai_attach_server(self.mine.id, share=True)
        [server] = self.settings(self.ann)["servers"]
        self.assertEqual((server["attached"], server["shared"]), (True, True))
        self.assertEqual(told(self.ben), [("Tools of ann", False)])
        [server] = self.settings(self.ben)["servers"]
        self.assertEqual(set(server), {"id", "name", "owner", "mine"})  # nothing of its address or its state

    def test_a_secret_is_told_to_nobody(self):
        self.mine.write({"auth_type": "bearer", "token": "sk-anns"})
        self.assertNotIn("sk-anns", repr(self.settings(self.ann)))
        self.assertTrue(self.settings(self.ann)["servers"][0]["has_token"])

    def noticed(self, code):
        """A reply in the conversation, of which people were told something."""
        run = self.channel.with_user(self.ann)._ai_post("Hello?").sudo()
        run._begin(1)
        self.env["ai.run.event"].create({
            "run_id": run.id, "attempt": 1, "seq": 90, "payload": {"type": "notice", "code": code, "message": "Well."},
        })
        return run

    def test_what_was_noticed_in_the_newest_reply_is_told_once_it_has_ended(self):
        self.noticed("round_limit")._finish("done", "Hello.")
        run = self.noticed("history_trimmed")
        self.assertEqual([notice["code"] for notice in self.settings(self.ben)["notices"]], ["round_limit"])
        run._finish("done", "Hello again.")
        self.assertEqual(self.settings(self.ben)["notices"], [{"code": "history_trimmed", "message": "Well."}])

    def test_what_was_noticed_in_a_reply_is_sent_with_it_and_not_before(self):
        def sent(run):
            return Store().add(run).get_result()["ai.run"][0]

        run = self.noticed("round_limit")
        self.assertNotIn("notices", sent(run))
        run._finish("done", "Hello.")
        self.env["ai.run.event"].search([("run_id", "=", run.id)]).unlink()  # as it is purged after some days
        self.assertEqual(sent(run)["notices"], [{"code": "round_limit", "message": "Well."}])

    def test_tools_that_run_unasked_are_told_to_those_who_may_revoke_it(self):
        self.env["ai.approval.rule"].create({
            "channel_id": self.channel.id, "assistant_id": self.assistant.id, "tool_id": self.burn.id,
            "user_id": self.ann.id, "terms": "as they were",
        })
        [rule] = self.settings(self.ann)["allowed"]
        self.assertEqual(
            (rule["title"], rule["server"], rule["mine"], rule["is_current"]), ("burn", "Shared tools", True, False)
        )
        self.assertEqual(self.settings(self.ben)["allowed"], [])
        self.env["ai.approval.rule"].with_user(self.ann).browse(rule["id"]).unlink()
        self.assertEqual(self.settings(self.ann)["allowed"], [])

    # -- switches

    def test_a_tool_that_is_off_is_used_by_no_run_of_this_conversation(self):
        self.switch(self.ben, self.burn, False)
        self.assertEqual((self.tools(self.ann), self.tools(self.ben)), ({"look"}, {"look"}))
        self.assertEqual(self.switches(self.ann), {"burn": (False, True), "look": (True, True)})
        elsewhere = self.group_chat(self.ann)
        self.assertIn(self.burn, self.assistant._run_tools(elsewhere.with_user(self.ann), self.ann))
        self.switch(self.ann, self.burn, True)
        self.assertEqual(self.tools(self.ann), {"look", "burn"})

    def test_a_call_that_waits_is_not_made_once_its_tool_is_off(self):
        self.assertTrue(self.burn._is_offered(self.assistant, self.channel, self.ann))
        self.switch(self.ann, self.burn, False)
        self.assertFalse(self.burn._is_offered(self.assistant, self.channel, self.ann))

    def test_personal_tools_are_switched_by_their_owner_alone(self):
        self.channel.with_user(self.ann).ai_attach_server(self.mine.id, share=True)
        self.assertEqual(self.switches(self.ben)["note"], (True, False))
        with self.assertRaises(AccessError):
            self.switch(self.ben, self.note, False)
        self.switch(self.ann, self.note, False)
        self.assertEqual(self.switches(self.ben)["note"], (False, False))
        self.assertEqual((self.tools(self.ann), self.tools(self.ben)), ({"look", "burn"}, {"look", "burn"}))

    def test_switching_one_tool_leaves_those_that_others_have_switched(self):
        self.channel.with_user(self.ann).ai_attach_server(self.mine.id, share=True)
        self.switch(self.ann, self.note, False)
        self.channel.with_user(self.ben).ai_disabled_tool_ids  # noqa: B018 - what Ben may see of them is cached now
        self.switch(self.ben, self.burn, False)
        self.switch(self.ben, self.burn, True)
        self.channel.with_user(self.ben).ai_disabled_tool_ids = [Command.set(self.look.ids)]
        self.assertEqual(self.tools(self.ann), {"burn"})

    def test_a_tool_that_is_not_on_offer_here_cannot_be_switched(self):
        for tool in (self.note, self.env["mcp.tool"].browse(0)):
            with self.assertRaises(UserError):
                self.switch(self.ann, tool, False)

    def test_who_is_no_member_of_a_public_channel_is_told_so(self):
        channel = self.env["discuss.channel"].with_user(self.ben)._create_channel("Open", None)
        told = self.settings(self.ann, channel), self.settings(self.ben, channel)
        self.assertEqual([settings["is_member"] for settings in told], [False, True])

    def test_many_tools_cost_no_more_queries_than_one(self):
        def queries():
            self.env.invalidate_all()
            before = self.env.cr.sql_log_count
            self.settings(self.ben)
            return self.env.cr.sql_log_count - before

        queries()  # what is cached for long
        of_two = queries()
        self.server._take_over([offered("look"), offered("burn"), *(offered(f"more{number}") for number in range(9))])
        self.env.flush_all()
        self.assertEqual(len(self.settings(self.ben)["tools"]), 11)
        self.assertEqual(queries(), of_two)
