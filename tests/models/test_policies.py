"""Which calls ask first, and how long they may take: what people set, as runs get it and as forms show it."""

from odoo.addons.ai_discuss.runtime import inputs
from odoo.exceptions import AccessError
from odoo.tests import Form
from odoo.tools import mute_logger
from psycopg2 import IntegrityError

from .common import AiCase, RunCase, offered


class TestPolicies(AiCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = cls.env["mcp.server"].create({"name": "S", "scope": "shared", "url": "http://s.example"})
        cls.server._take_over([offered("look", read_only=True), offered("act")])
        cls.assistant.mcp_server_ids = cls.server
        cls.look, cls.act = cls.server.tool_ids.sorted("name", reverse=True)

    def approvals(self):
        """What a run of Ann's gets for each tool."""
        spec = self.server._spec(self.ann)
        tools = self.assistant._run_tools(self.env["discuss.channel"], self.ann)
        return {tool.name: tool._spec(spec, self.assistant).approval for tool in tools}

    def test_rules_of_server_and_assistant_make_tools_stricter(self):
        for server, assistant, expected in [
            ("tool", "tool", {"look": "auto", "act": "auto"}),
            ("changes", "tool", {"look": "auto", "act": "ask"}),
            ("tool", "changes", {"look": "auto", "act": "ask"}),
            ("ask", "tool", {"look": "ask", "act": "ask"}),
            ("tool", "ask", {"look": "ask", "act": "ask"}),
            ("never", "tool", {}),
        ]:
            with self.subTest(server=server, assistant=assistant):
                self.server.approval, self.assistant.approval = server, assistant
                self.assertEqual(self.approvals(), expected)
                self.assertEqual(set(self.assistant.get_enabled_mcp_tools().mapped("name")), set(expected))

    def test_a_rule_never_makes_a_tool_milder(self):
        self.look.approval, self.act.approval = "ask", "never"
        self.server.approval = self.assistant.approval = "changes"
        self.assertEqual(self.approvals(), {"look": "ask"})

    def test_the_rule_of_an_assistant_holds_for_personal_servers_too(self):
        channel = self.group_chat(self.ann, self.ben)
        mine = self.personal_server(self.ann)
        mine.sudo()._take_over([offered("note", read_only=True)])
        channel.with_user(self.ann).user_mcp_server_ids = mine
        self.assistant.approval = "ask"
        tool = self.assistant._run_tools(channel, self.ann).filtered(lambda tool: tool.server_id == mine)
        self.assertEqual(tool._spec(mine._spec(self.ann), self.assistant).approval, "ask")

    def test_a_tool_shows_what_holds_with_its_servers_rule(self):
        self.server.approval = "changes"
        self.assertEqual((self.look.policy, self.act.policy), ("auto", "ask"))
        self.server.approval = "never"
        self.assertEqual((self.look.policy, self.act.policy), ("never", "never"))

    def test_an_assistants_form_shows_what_holds_before_it_is_saved(self):
        with Form(self.assistant) as form:
            self.assertFalse(form.asking_tool_ids[:])
            form.approval = "changes"
            self.assertEqual(form.asking_tool_ids[:], self.act)
            form.approval = "ask"
            self.assertEqual(form.asking_tool_ids[:], self.look + self.act)

    def test_a_changed_tool_asks_even_where_the_rules_are_mild(self):
        self.server._take_over([offered("look", read_only=True, description="Also sends it."), offered("act")])
        self.assertEqual(self.approvals(), {"look": "ask", "act": "auto"})

    def test_only_managers_set_the_rules_of_what_is_shared(self):
        for record in (self.server, self.assistant):
            record.with_user(self.mia).approval = "ask"
            with self.subTest(model=record._name), self.assertRaises(AccessError):
                record.with_user(self.ann).approval = "tool"

    def test_people_set_the_rule_of_their_own_server(self):
        mine = self.personal_server(self.ann)
        mine.approval = "ask"
        self.assertEqual(mine.approval, "ask")


class TestDeadlines(AiCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = cls.env["mcp.server"].create({
            "name": "S", "scope": "shared", "url": "http://s.example", "timeout": 20, "max_timeout": 90,
        })
        cls.server._take_over([offered("slow")])

    def test_a_run_gets_the_deadlines_of_server_and_tool(self):
        tool = self.server.tool_ids
        tool.with_user(self.mia).timeout = 45
        spec = tool._spec(self.server._spec(self.ann), self.assistant)
        self.assertEqual((spec.timeout, spec.server.timeout, spec.server.max_timeout), (45, 20, 90))

    def test_a_timeout_of_a_tool_survives_a_synchronisation_and_approves_nothing(self):
        tool = self.server.tool_ids
        self.server._take_over([offered("slow", description="Slower.")])
        tool.timeout = 45
        self.server._take_over([offered("slow", description="Slower still.")])
        self.assertEqual((tool.timeout, tool.changed, tool.approval), (45, True, "ask"))

    @mute_logger("odoo.sql_db")
    def test_deadlines_that_make_no_sense_are_refused(self):
        for record, values in [
            (self.server, {"timeout": 0}),
            (self.server, {"max_timeout": 10}),
            (self.server.tool_ids, {"timeout": -1}),
            (self.assistant, {"run_timeout": 0}),
            (self.assistant, {"run_timeout": 1_000_000}),
        ]:
            with self.subTest(**values), self.assertRaises(IntegrityError), self.env.cr.savepoint():
                record.write(values)
                record.flush_recordset()


class TestTimeLimit(RunCase):
    def test_a_run_has_the_seconds_that_its_assistant_says(self):
        self.assistant.run_timeout = 45
        self.assertEqual(inputs.load(self.running()).deadline, 45)
