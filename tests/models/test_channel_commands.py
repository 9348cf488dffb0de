"""What is typed after a slash where there is an assistant, and what only the caller reads in answer."""

import json

from odoo.fields import Command

from .common import AiCase, offered


class TestChannelCommands(AiCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = cls.shared_server(cls)
        cls.server._take_over([offered("look_up", title="Look up <b>", read_only=True), offered("drop")])
        cls.assistant.write({
            "description": "Finds <i>things</i>.", "approval": "changes",
            "mcp_server_ids": [Command.set(cls.server.ids)],
        })
        cls.channel = cls.env["discuss.channel"].browse(cls.assistant.with_user(cls.ann).open_chat(new=True))

    def told(self, command, user=None, channel=None):
        """What `user` reads after the command, as HTML."""
        self.env.cr.precommit.run()
        self.env["bus.bus"].sudo().search([]).unlink()
        channel = (channel or self.channel).with_user(user or self.ann)
        getattr(channel, f"execute_command_{command}")(body=f"/{command}")
        self.env.cr.precommit.run()
        (notification,) = self.env["bus.bus"].sudo().search([("message", "like", "transient_message")])
        return json.loads(notification.message)["payload"]["body"]

    def test_the_tools_are_listed_by_server_with_what_they_do_and_whether_they_ask(self):
        text = self.told("ai_tools")
        self.assertIn("Shared tools", text)
        self.assertRegex(text, r"Look up &lt;b&gt;</b> – Does look_up\.</li>")
        self.assertRegex(text, r"drop</b> – Does drop\. <span [^>]*>\(asks first\)")

    def test_a_tool_that_is_off_is_not_listed(self):
        self.assistant.disabled_tool_ids = self.server.tool_ids.filtered(lambda tool: tool.name == "drop")
        self.assertNotIn("drop", self.told("ai_tools"))

    def test_without_tools_it_says_so(self):
        self.assistant.mcp_server_ids = False
        self.assertIn("Zed Helper has no tools here", self.told("ai_tools"))

    def test_whoever_may_not_use_the_assistant_is_told_nothing_of_its_tools(self):
        self.channel.sudo()._add_members(users=self.ben)
        self.assistant.group_ids = self.env.ref("base.group_system")
        text = self.told("ai_tools", user=self.ben)
        self.assertIn("You may not use this assistant", text)
        self.assertNotIn("Shared tools", text)

    def test_help_says_who_the_assistant_is_when_it_answers_and_what_can_be_typed(self):
        text = self.told("help")
        known = ("Zed Helper", "Finds &lt;i&gt;things&lt;/i&gt;.", "It answers every message here.", "/tools", "/new")
        for part in known:
            self.assertIn(part, text)
        self.channel.ai_reply_mode = "mention"
        self.assertIn("It answers when it is mentioned: @Zed Helper.", self.told("help"))

    def test_help_where_there_is_no_assistant_is_that_of_discuss(self):
        self.assertNotIn("/tools", self.told("help", channel=self.group_chat(self.ann, self.ben)))
