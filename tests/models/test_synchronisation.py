"""Synchronising tools: what a server says, and what people decided about it, with real servers."""

from tests.fakes.mcp_servers import JsonServer, McpHttpServer

from .common import AiCase, offered


class TestSynchronisation(AiCase):
    def tools(self, server):
        return {tool.name: tool for tool in server.with_context(active_test=False).tool_ids}

    def test_a_real_server_is_connected_and_its_tools_are_taken_over(self):
        with McpHttpServer(token="let-me-in") as peer:
            server = self.shared_server(url=peer.url, auth_type="bearer", token="let-me-in")
            action = server.with_user(self.mia).action_sync_tools()
        self.assertEqual(action["params"]["type"], "success")
        self.assertEqual((server.state, server.state_message), ("connected", False))
        self.assertTrue(server.last_sync)
        tools = self.tools(server)
        self.assertEqual(tools["echo"].title, "Echo")
        self.assertIn("text", tools["echo"].input_schema["properties"])
        self.assertTrue(tools["echo"].read_only)
        self.assertFalse(tools["note"].read_only)
        self.assertEqual({tool.approval for tool in tools.values()}, {"auto"})

    def test_the_older_transport_works_too(self):
        with McpHttpServer("sse") as peer:
            server = self.shared_server(url=peer.url, transport="sse")
            server.action_sync_tools()
        self.assertIn("add", self.tools(server))

    def test_testing_a_connection_takes_nothing_over(self):
        with McpHttpServer() as peer:
            server = self.shared_server(url=peer.url)
            action = server.action_test_connection()
        self.assertEqual(action["params"]["type"], "success")
        self.assertEqual(server.state, "connected")
        self.assertFalse(server.tool_ids)

    def test_a_problem_is_a_sentence_and_keeps_the_tools(self):
        with McpHttpServer(token="other") as refusing, JsonServer(lambda *a: (200, {}, b"<html>")) as babbling:
            for url in (refusing.url, babbling.url, "http://127.0.0.1:9/mcp"):
                server = self.shared_server(url=url, token="sk-secret", auth_type="bearer")
                server._take_over([offered("kept")])
                with self.subTest(url=url):
                    action = server.with_user(self.mia).action_sync_tools()
                    self.assertEqual(action["params"]["type"], "danger")
                    self.assertEqual(server.state, "error")
                    self.assertTrue(server.state_message)
                    self.assertNotIn("sk-secret", server.state_message)
                    self.assertNotIn("Traceback", server.state_message)
                    self.assertTrue(self.tools(server)["kept"].active)

    def test_an_address_inside_the_network_is_refused_to_people(self):
        with McpHttpServer() as peer:
            server = self.personal_server(self.ann)
            server.flush_recordset()
            self.env.cr.execute("UPDATE mcp_server SET url = %s WHERE id = %s", [peer.url, server.id])
            server.invalidate_recordset()  # as if its name had come to lead there
            server.action_sync_tools()
            self.assertEqual(peer.requests, [])
        self.assertEqual(server.state, "error")

    def test_q38_what_people_decided_survives(self):
        server = self.shared_server()
        server._take_over([offered("a"), offered("b"), offered("c")])
        tools = self.tools(server)
        tools["a"].enabled = False
        tools["b"].approval = "never"
        server._take_over([offered("a"), offered("b"), offered("c")])
        self.assertFalse(tools["a"].enabled)
        self.assertEqual(tools["b"].approval, "never")
        self.assertFalse(any(tool.changed for tool in tools.values()))

    def test_q38_what_vanished_is_archived_and_comes_back_as_it_was(self):
        server = self.shared_server()
        server._take_over([offered("a"), offered("b")])
        vanishing = self.tools(server)["a"]
        vanishing.enabled = False
        server._take_over([offered("b")])
        self.assertFalse(vanishing.active)
        server._take_over([offered("a"), offered("b")])
        self.assertTrue(vanishing.active)
        self.assertFalse(vanishing.enabled)
        self.assertFalse(vanishing.changed)

    def test_q38_a_changed_tool_asks_again_until_somebody_decides(self):
        server = self.shared_server()
        server._take_over([offered("a", read_only=True)])
        tool = self.tools(server)["a"]
        for change in ({"description": "Also sends it."}, {"input_schema": {"type": "object", "required": ["x"]}}):
            with self.subTest(**change):
                tool.approval = "auto"
                server._take_over([offered("a", read_only=True, **change)])
                self.assertTrue(tool.changed)
                self.assertEqual(tool.approval, "ask")
        tool.with_user(self.mia).approval = "auto"
        self.assertFalse(tool.changed)

    def test_default_approvals_depend_on_whose_server_it_is(self):
        found = [offered("look", read_only=True), offered("act")]
        personal = self.personal_server(self.ann)
        for server in (self.shared_server(), personal.sudo()):
            server._take_over(found)
        self.assertEqual({n: t.approval for n, t in self.tools(personal).items()}, {"look": "auto", "act": "ask"})

    def test_q28_what_cannot_be_stored_is_replaced_visibly(self):
        server = self.shared_server()
        server._take_over([offered("a\0b", description="x\0y", input_schema={"k\0": "v\0"})])
        tool = server.tool_ids
        self.assertEqual((tool.name, tool.description), ("a\ufffdb", "x\ufffdy"))
        self.assertEqual(tool.input_schema, {"k\ufffd": "v\ufffd"})

    def test_the_first_of_two_tools_of_one_name_wins(self):
        server = self.shared_server()
        server._take_over([offered("a", description="first"), offered("a", description="second")])
        self.assertEqual(server.tool_ids.description, "first")


class TestToolsOfARun(AiCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.shared = cls.env["mcp.server"].create({"name": "S", "scope": "shared", "url": "http://s.example"})
        cls.shared._take_over([offered("on"), offered("off"), offered("never"), offered("gone")])
        cls.assistant.mcp_server_ids = cls.shared
        cls.by_name = {tool.name: tool for tool in cls.shared.tool_ids}

    def names(self, tools):
        return set(tools.mapped("name"))

    def test_only_what_is_on_everywhere_is_offered(self):
        self.by_name["off"].enabled = False
        self.by_name["never"].approval = "never"
        self.assistant.disabled_tool_ids = self.by_name["gone"]
        self.assertEqual(self.names(self.assistant.with_user(self.ann).get_enabled_mcp_tools()), {"on"})

    def test_a_server_that_was_never_connected_offers_nothing(self):
        self.shared.url = "http://elsewhere.example"
        self.assertFalse(self.assistant.get_enabled_mcp_tools())

    def test_attached_personal_servers_add_their_tools_for_their_owners(self):
        channel = self.group_chat(self.ann, self.ben)
        mine = self.personal_server(self.ann)
        mine.sudo()._take_over([offered("note")])
        channel.with_user(self.ann).user_mcp_server_ids = mine
        self.assertIn("note", self.names(self.assistant._run_tools(channel, self.ann)))

    def test_a_personal_server_with_an_error_is_tried_again_but_never_one_that_was_not_connected(self):
        channel = self.group_chat(self.ann, self.ben)
        mine = self.personal_server(self.ann)
        mine.sudo()._take_over([offered("note")])
        channel.with_user(self.ann).user_mcp_server_ids = mine
        for state, is_offered in (("error", True), ("draft", False)):
            mine.sudo().state = state
            with self.subTest(state=state):
                self.assertEqual("note" in self.names(self.assistant._run_tools(channel, self.ann)), is_offered)
