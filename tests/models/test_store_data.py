"""What the web client is told of runs and their calls, when a conversation is opened."""

from unittest.mock import patch

from odoo.addons.mail.tools.discuss import Store
from odoo.tests import new_test_user

from .common import RunCase


class TestStoreData(RunCase):
    def opened(self, channels=None, user=None):
        """The store's data when these conversations are opened by `user`: records by model and id."""
        channels = (channels or self.channel).with_user(user or self.ann)
        channels.invalidate_recordset()
        data = Store().add(channels).get_result()
        return {model: {record["id"]: record for record in records} for model, records in data.items()}

    def test_who_opens_a_conversation_is_told_what_waits_in_it_and_for_whom(self):
        run = self.running()
        call = self.call(run, state="approval")
        data = self.opened()
        self.assertEqual(data["discuss.channel"][self.channel.id]["ai_run_ids"], run.ids)
        self.assertEqual(data["ai.run"][run.id]["user_id"], self.ann.id)
        self.assertEqual(data["ai.run"][run.id]["tool_call_ids"], call.ids)
        self.assertEqual(data["ai.run"][run.id]["assistant_partner_id"], self.assistant.partner_id.id)
        self.assertEqual(data["ai.tool.call"][call.id]["state"], "approval")
        self.assertEqual(data["res.users"][self.ann.id]["partner_id"], self.ann.partner_id.id)
        self.assertEqual(data["res.partner"][self.ann.partner_id.id]["name"], self.ann.partner_id.name)

    def test_who_decided_is_told_by_name(self):
        run = self.running()
        call = self.call(run, state="approval")
        run.with_user(self.ann).sudo(False)._decide(call.call_id, approved=True)
        data = self.opened()
        self.assertEqual(data["ai.tool.call"][call.id]["decided_by"], self.ann.id)
        self.assertEqual(data["res.users"][self.ann.id]["partner_id"], self.ann.partner_id.id)

    def test_a_run_that_has_ended_is_not_told_of_again(self):
        run = self.request().sudo()
        run._finish("cancelled")
        data = self.opened()
        self.assertEqual(data["discuss.channel"][self.channel.id]["ai_run_ids"], [])
        self.assertNotIn("ai.run", data)

    def test_a_portal_member_is_told_as_well(self):
        paula = new_test_user(self.env, "portal paula", "base.group_portal")
        self.channel.sudo()._add_members(users=paula)
        run = self.request().sudo()
        self.assertIn(run.id, self.opened(user=paula)["ai.run"])

    def test_the_runs_of_many_conversations_are_found_with_one_query(self):
        new_chat = self.assistant.with_user(self.ann).open_chat
        channels = self.channel.browse([new_chat(new=True) for _ in range(5)]).with_user(self.ann)
        self.env.flush_all()
        with self.assertQueryCount(1):
            channels._ai_active_runs(Store().target)

    def test_managers_are_told_that_they_are(self):
        for user, is_manager in ((self.ann, False), (self.boss, True)):
            store = Store()
            user.with_user(user)._init_store_data(store)
            self.assertIs(store.get_result()["Store"]["is_ai_manager"], is_manager)

    def test_a_reply_is_told_with_the_run_that_made_it(self):
        run = self.running()
        run._finish("error", "Half of", error=None)
        message = run.message_id.with_user(self.ann)
        data = Store().add(message).get_result()
        self.assertEqual(data["mail.message"][0]["ai_run_ids"], run.ids)
        self.assertEqual([(told["id"], told["state"]) for told in data["ai.run"]], [(run.id, "error")])

    def test_who_opens_a_conversation_is_told_how_its_assistant_introduces_itself(self):
        self.assistant.write({"description": "Knows it all.", "prompts": " Who are you?\n\nTell me of …  "})
        partner = self.assistant.partner_id
        data = self.opened()
        self.assertEqual(data["discuss.channel"][self.channel.id]["ai_assistant_partner_id"], partner.id)
        told = data["res.partner"][partner.id]
        self.assertEqual(told["ai_description"], "Knows it all.")
        self.assertEqual(told["ai_prompts"], ["Who are you?", "Tell me of …"])
        self.assertTrue(told["is_ai_assistant"])

    def test_members_are_told_when_the_first_words_are_said(self):
        self.assertIs(self.opened()["discuss.channel"][self.channel.id]["ai_auto_name"], True)
        self.env["bus.bus"].sudo().search([]).unlink()
        self.request("Which desks?")
        self.env.cr.precommit.run()
        messages = self.env["bus.bus"].sudo().search([]).mapped("message")
        self.assertTrue(any('"ai_auto_name":false' in message for message in messages))

    def test_where_there_is_no_assistant_none_is_told_of(self):
        group = self.env["discuss.channel"].with_user(self.ann)._create_group((self.ann | self.bob).partner_id.ids)
        self.assertIs(self.opened(group)["discuss.channel"][group.id]["ai_assistant_partner_id"], False)

    def test_members_are_told_of_another_assistant_at_once(self):
        other = self.assistant.copy({"name": "Other", "description": "Is another one."})
        self.env["bus.bus"].sudo().search([]).unlink()
        self.channel.ai_assistant_id = other
        self.env.cr.precommit.run()
        messages = self.env["bus.bus"].sudo().search([]).mapped("message")
        self.assertTrue(any("Is another one." in message for message in messages))

    def test_people_are_told_of_the_assistants_that_they_may_use(self):
        paula = new_test_user(self.env, "portal paul", "base.group_portal")
        restricted = self.assistant.copy({"name": "Boss only"})
        restricted.group_ids = self.env.ref("ai_discuss.group_ai_manager")
        for user, expected in ((self.ann, {"Botty"}), (self.boss, {"Botty", "Boss only"}), (paula, set())):
            store = Store()
            user.with_user(user)._init_store_data(store)
            data = store.get_result()
            names = {partner["id"]: partner.get("name") for partner in data["res.partner"]}
            ours = {"Botty", "Boss only"}
            self.assertEqual({names[id] for id in data["Store"].get("aiAssistants", ())} & ours, expected)

    def test_who_looks_while_an_assistant_is_made_locks_nobody_out(self):
        with patch.object(type(self.env["ai.assistant"]), "_ids_by_partner", return_value={}):  # as it was before
            store = Store()
            self.ann.with_user(self.ann)._init_store_data(store)
        told = {partner["id"]: partner for partner in store.get_result()["res.partner"]}
        self.assertEqual(told[self.assistant.partner_id.id]["ai_assistant_id"], self.assistant.id)

    def test_the_assistants_are_looked_up_again_once_a_new_one_is_committed(self):
        with patch.object(type(self.env.cr.postcommit), "add") as later:
            self.assistant.copy({"name": "Newest"})
        later.assert_any_call(self.registry.clear_cache)

    def test_many_conversations_with_many_assistants_take_no_more_queries(self):
        def count(assistants):
            channels = self.env["discuss.channel"].browse(
                assistant.with_user(self.ann).open_chat(new=True) for assistant in assistants
            )
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.env.cr.sql_log_count
            Store().add(channels.with_user(self.ann), channels.with_user(self.ann)._ai_store_fields()).get_result()
            return self.env.cr.sql_log_count - before

        assistants = [self.assistant.copy({"name": f"Number {number}"}) for number in range(6)]
        self.assertEqual(count(assistants[:1]), count(assistants[1:]))
