"""The last look before a call leaves for its server: what people allow at that moment, and when they are asked."""

from odoo.addons.ai_discuss.services.history import OUTCOME_UNKNOWN
from odoo.addons.ai_discuss.services.ports import CLEARED, Clearance

from .common import RunCase, offered

ASKS = Clearance(asks=True)


class ClearanceCase(RunCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = cls.env["mcp.server"].create({"name": "S", "scope": "shared", "url": "http://s.example"})
        cls.server._take_over([offered("look_up"), offered("other")])
        cls.tool = cls.server.tool_ids.filtered(lambda tool: tool.name == "look_up")
        cls.assistant.mcp_server_ids = cls.server

    def asked_for(self, state="pending", **values):
        """A call that the model has just asked for, of the tool as it is now."""
        call = self.call(self.running(), state)
        call.write({"tool_id": self.tool.id, "definition_hash": self.tool._definition(), **values})
        return call

    def approved(self):
        call = self.asked_for("approval")
        call._approve()
        return call

    def change_tool(self, **values):
        self.server._take_over([offered("look_up", description="Does something else.", **values), offered("other")])


class TestClearance(ClearanceCase):
    def test_what_was_allowed_and_still_is_may_leave(self):
        self.assertEqual(self.asked_for()._clear(), CLEARED)
        self.tool.approval = "ask"
        self.assertEqual(self.approved()._clear(), CLEARED)

    def test_q45_what_may_no_longer_be_done_is_refused(self):
        administrators = self.env.ref("base.group_system")
        changes = {
            "the tool is switched off": lambda: self.tool.write({"enabled": False}),
            "the tool never runs": lambda: self.tool.write({"approval": "never"}),
            "its server no longer offers it": lambda: self.server._take_over([offered("other")]),
            "the assistant does without it": lambda: self.assistant.write({"disabled_tool_ids": self.tool}),
            "the server never runs any": lambda: self.server.write({"approval": "never"}),
            "the server is archived": lambda: self.server.write({"active": False}),
            "the server is another one": lambda: self.server.write({"url": "http://other.example"}),
            "the server is no longer the assistant's": lambda: self.assistant.write({"mcp_server_ids": False}),
            "the server is deleted": self.server.unlink,
            "the assistant is archived": lambda: self.assistant.write({"active": False}),
            "the assistant is for others": lambda: self.assistant.write({"group_ids": administrators}),
            "who asked has left": lambda: self.channel.sudo()._action_unfollow(self.ann.partner_id),
            "who asked works here no more": lambda: self.ann.write({"active": False}),
        }
        for name, change in changes.items():
            with self.subTest(name), self.env.cr.savepoint() as savepoint:
                call = self.asked_for()
                change()
                self.assertTrue(call._clear().refusal.startswith("Not executed: "))
                self.assertEqual(call.state, "pending")
                savepoint.rollback()
            self.env.invalidate_all()
            self.env.registry.clear_cache()

    def test_q45_a_call_whose_tool_asks_by_now_waits(self):
        for record in (self.tool, self.server, self.assistant):
            with self.subTest(model=record._name):
                call = self.asked_for()
                record.approval = "ask"
                self.assertEqual(call._clear(), ASKS)
                self.assertEqual((call.state, call.has_changed), ("approval", False))
                call._approve()
                self.assertEqual(call._clear(), CLEARED)
                record.approval = "auto" if record == self.tool else "tool"

    def test_q45_a_tool_that_has_changed_since_it_was_approved_is_asked_about_again_and_only_once(self):
        self.tool.approval = "ask"
        call = self.approved()
        self.change_tool()
        self.assertEqual(call._clear(), ASKS)
        self.assertEqual((call.state, call.has_changed), ("approval", True))
        self.assertFalse(call.decided_by or call.decided_at)
        self.assertEqual(call._clear(), ASKS)  # nobody has decided yet
        call._approve()
        self.assertEqual(call._clear(), CLEARED)

    def test_q45_a_tool_that_has_changed_since_it_was_offered_is_asked_about_whatever_the_rules_say(self):
        call = self.asked_for()
        self.change_tool()
        self.tool.approval = "auto"
        self.assertEqual(call._clear(), ASKS)

    def test_q45_an_approval_does_not_hold_for_another_server(self):
        call = self.approved()
        self.server.url = "http://other.example"
        self.server._take_over([offered("look_up"), offered("other")])
        self.assertEqual(call._clear(), ASKS)

    def test_a_call_that_was_recorded_as_waiting_waits_also_where_its_tool_has_become_milder(self):
        self.assertEqual(self.asked_for("approval")._clear(), ASKS)

    def test_one_that_was_denied_meanwhile_is_refused_with_those_words(self):
        call = self.asked_for("approval")
        call._deny("Better not.", self.ann)
        self.assertEqual(call._clear(), Clearance(refusal="Better not."))

    def test_one_that_had_been_sent_is_looked_at_as_well_before_it_is_sent_again(self):
        call = self.asked_for("invoking")
        self.assertEqual(call._clear(), CLEARED)
        self.change_tool()
        self.assertEqual(call._clear(), Clearance(refusal=OUTCOME_UNKNOWN))
        self.assertEqual(call.state, "invoking")

    def test_a_call_that_waits_already_keeps_the_time_that_it_was_given(self):
        call = self.asked_for("approval", requested_at="2026-01-01", expires_at="2026-01-02")
        call._clear()
        self.assertEqual(str(call.requested_at), "2026-01-01 00:00:00")

    def test_it_costs_few_queries_however_many_tools_there_are(self):
        self.server._take_over([offered("look_up"), *(offered(f"tool{number}") for number in range(50))])
        call = self.asked_for()
        call.tool_id.read_only  # noqa: B018 - what people are shown of the call reads it anyway
        self.env.flush_all()
        self.env.invalidate_all()
        call.run_id.state, call.state, call.tool_id.name  # noqa: B018
        with self.assertQueryCount(4):  # person, seat, assistant with its rule, server
            self.assertEqual(call._clear(), CLEARED)


class TestIsOffered(ClearanceCase):
    def test_it_is_what_a_run_gets(self):
        values = {"name": "B", "scope": "user", "url": "http://b.example"}
        bobs = self.env["mcp.server"].with_user(self.bob).create(values)
        bobs.sudo()._take_over([offered("note", read_only=True), offered("erase")])
        self.channel.sudo()._add_members(users=self.bob)
        self.channel.with_user(self.bob).user_mcp_server_ids = bobs
        unused = self.env["mcp.server"].create({"name": "U", "scope": "shared", "url": "http://u.example"})
        unused._take_over([offered("idle")])
        self.assistant.disabled_tool_ids = self.server.tool_ids - self.tool
        for change in ({}, {"approval": "ask"}):
            self.assistant.write(change)
            for user in (self.ann, self.bob):
                tools = self.assistant._run_tools(self.channel, user)
                found = (self.server | bobs | unused).sudo().tool_ids.filtered(
                    lambda tool, user=user: tool._is_offered(self.assistant, self.channel, user)
                )
                self.assertEqual(found.mapped("name"), tools.mapped("name"))
