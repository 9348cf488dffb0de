"""Tools that people allow once and for all in a conversation: who may, what it covers, and what ends it."""

from odoo.addons.ai_discuss.runtime import inputs
from odoo.addons.ai_discuss.services.ports import CLEARED
from odoo.exceptions import AccessError
from odoo.fields import Command
from odoo.tests import new_test_user
from odoo.tools import mute_logger

from .common import RunCase, offered


class RuleCase(RunCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.shared = cls.env["mcp.server"].create({"name": "S", "scope": "shared", "url": "http://s.example"})
        cls.shared._take_over([offered("look_up")])
        cls.shared.tool_ids.approval = "ask"
        cls.assistant.mcp_server_ids = cls.shared
        cls.own = cls.env["mcp.server"].with_user(cls.ann).create({
            "name": "Own", "scope": "user", "url": "http://own.example",
        }).sudo()
        cls.own._take_over([offered("note")])
        cls.channel.with_user(cls.ann).ai_attach_server(cls.own.id)
        cls.channel.sudo()._add_members(users=cls.boss | cls.bob)
        cls.rules = cls.env["ai.approval.rule"]

    def asked(self, tool, user=None):
        """A call of `tool` that waits, in a run of this person."""
        run = self.channel.with_user(user or self.ann)._ai_post("Do it").sudo()
        run._begin(1)
        call = self.call(run, "approval")
        call.write({"tool_id": tool.id, "server_id": tool.server_id.id, "definition_hash": tool._definition()})
        return call

    def allow(self, call, user=None):
        call.run_id.with_user(user or self.ann)._decide(call.call_id, approved=True, always=True)

    def asks(self, tool, user=None):
        """Whether a new call would be asked about; the engine, and the last look before it leaves, are of one mind."""
        call = self.asked(tool, user)
        spec = next(spec for spec in inputs.load(call.run_id).tools if spec.id == tool.id)
        call.state = "pending"
        at_last = call._clear()
        self.assertEqual(spec.approval == "ask", at_last != CLEARED)
        return at_last != CLEARED


class TestAllowing(RuleCase):
    def test_a_tool_of_ones_own_server_runs_unasked_from_then_on(self):
        self.assertTrue(self.asks(self.own.tool_ids))
        call = self.asked(self.own.tool_ids)
        self.allow(call)
        self.assertEqual((call.state, call.decided_by), ("pending", self.ann))
        self.assertFalse(self.asks(self.own.tool_ids))

    def test_a_manager_allows_a_shared_tool_for_whoever_asked(self):
        tool = self.shared.tool_ids
        self.allow(self.asked(tool), self.boss)
        self.assertEqual((self.rules.search([]).user_id, self.rules.search([]).create_uid), (self.ann, self.boss))
        self.assertFalse(self.asks(tool))
        self.assertTrue(self.asks(tool, self.bob))

    def test_what_was_allowed_in_one_conversation_is_asked_about_in_another(self):
        self.allow(self.asked(self.shared.tool_ids), self.boss)
        self.channel = self.env["discuss.channel"].browse(self.assistant.with_user(self.ann).open_chat(new=True))
        self.assertTrue(self.asks(self.shared.tool_ids))

    def test_nobody_waives_what_is_not_theirs_to_waive(self):
        shared, own = self.shared.tool_ids, self.own.tool_ids
        refused = [
            ("who asked, of a tool that a manager has ask", shared, self.ann, {}),
            ("a manager, of somebody's personal server", own, self.boss, {}),
            ("its owner, where the assistant always asks", own, self.ann, {"approval": "ask"}),
            ("its owner, where the assistant asks before changes", own, self.ann, {"approval": "changes"}),
        ]
        for name, tool, user, rule in refused:
            with self.subTest(name):
                self.assistant.write({"approval": "tool", **rule})
                call = self.asked(tool)
                with self.assertRaises(AccessError), self.env.cr.savepoint():
                    self.allow(call, user)
                call.invalidate_recordset()
                self.assertEqual((call.state, self.rules.search_count([])), ("approval", 0))

    def test_people_are_offered_what_they_may_do_and_nothing_else(self):
        own, shared = self.asked(self.own.tool_ids), self.asked(self.shared.tool_ids)
        self.assertEqual((own._always_by(), shared._always_by()), ("asker", "manager"))
        self.assertEqual((own._is_as_asker(), shared._is_as_asker()), (True, False))
        self.assistant.approval = "ask"
        self.assertEqual((own._always_by(), shared._always_by()), (False, "manager"))
        own._approve()
        self.assertEqual((own._always_by(), own._is_as_asker()), (False, False))

    def test_somebody_elses_server_that_serves_all_is_not_for_the_asker_to_open(self):
        self.channel.with_user(self.ann).ai_attach_server(self.own.id, share=True)
        call = self.asked(self.own.tool_ids, self.bob)
        self.assertFalse(call._always_by())
        with self.assertRaises(AccessError):
            self.allow(call, self.bob)

    def test_allowing_twice_is_allowing_once(self):
        first, second = self.asked(self.own.tool_ids), self.asked(self.own.tool_ids)
        self.allow(first)
        self.allow(second)
        self.assertEqual(self.rules.search_count([]), 1)


class TestEnding(RuleCase):
    def allowed(self, tool):
        self.allow(self.asked(tool), self.ann if tool.server_id == self.own else self.boss)
        return self.rules.search([])

    def test_whatever_changes_ends_it(self):
        own, shared = self.own.tool_ids, self.shared.tool_ids
        changes = [
            ("the tool is another one", shared, lambda: self.shared._take_over([offered("look_up", title="New")])),
            ("the server moves", own, lambda: self.own._take_over([offered("note", description="Sends all away.")])),
            ("the assistant asks always", shared, lambda: self.assistant.write({"approval": "ask"})),
            ("the assistant asks before changes", own, lambda: self.assistant.write({"approval": "changes"})),
            ("the server asks always", shared, lambda: self.shared.write({"approval": "ask"})),
        ]
        for name, tool, change in changes:
            with self.subTest(name), self.env.cr.savepoint() as savepoint:
                rule = self.allowed(tool)
                self.assertTrue(rule.is_current)
                change()
                self.env.invalidate_all()
                self.assertFalse(rule.is_current)
                self.assertTrue(self.asks(tool))
                savepoint.rollback()
            self.env.invalidate_all()
            self.env.registry.clear_cache()

    def test_a_tool_that_may_never_run_does_not_run(self):
        self.allowed(self.shared.tool_ids)
        call = self.asked(self.shared.tool_ids)
        self.shared.tool_ids.approval = "never"
        self.assertIn("Not executed", call._clear().refusal)

    def test_what_the_tool_became_before_it_was_allowed_is_not_what_was_allowed(self):
        call = self.asked(self.shared.tool_ids)
        self.shared._take_over([offered("look_up", description="Does something else.")])
        self.allow(call, self.boss)
        self.assertFalse(self.rules.search([]).is_current)
        self.assertTrue(self.asks(self.shared.tool_ids))

    def test_who_it_is_for_takes_it_back(self):
        rule = self.allowed(self.shared.tool_ids)
        with mute_logger("odoo.addons.base.models.ir_rule"), self.assertRaises(AccessError):
            rule.with_user(self.bob).unlink()
        rule.with_user(self.ann).unlink()
        self.assertTrue(self.asks(self.shared.tool_ids))

    def test_it_ends_when_the_person_leaves(self):
        self.allowed(self.shared.tool_ids)
        self.channel.with_user(self.boss).sudo()._action_unfollow(self.ann.partner_id)
        self.assertFalse(self.rules.search_count([]))

    def test_a_manager_sees_what_concerns_all_and_not_what_is_personal(self):
        self.allowed(self.own.tool_ids)
        personal = self.rules.search([])
        self.allow(self.asked(self.shared.tool_ids), self.boss)
        seen = self.rules.with_user(self.boss).search([])
        self.assertEqual((len(seen), seen & personal), (1, self.rules))
        other = new_test_user(self.env, "zoe-rule", "base.group_user")
        other.company_ids = [Command.link(self.env.company.id)]
        self.assertFalse(self.rules.with_user(other).search([]))


class TestReading(RuleCase):
    def test_a_run_without_tools_that_ask_looks_nothing_up(self):
        self.shared.tool_ids.approval = "auto"
        self.own.tool_ids.approval = "auto"
        run = self.request().sudo()
        run._begin(1)
        tools = self.assistant._run_tools(self.channel, self.ann)
        tools.mapped("name"), tools.server_id.mapped("approval"), self.assistant.approval
        with self.assertQueryCount(0):
            self.assertFalse(inputs._allowed(tools, self.assistant, self.channel))
