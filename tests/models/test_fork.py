"""A conversation that goes on from a point of another one: what is copied, for whom, and what it costs."""

from odoo.addons.ai_discuss.runtime import inputs
from odoo.addons.ai_discuss.services.messages import AssistantMessage, ToolCall, ToolPart, ToolResult, Turn
from odoo.addons.ai_discuss.services.states import RunState, ToolCallState
from odoo.addons.ai_discuss.services.transcript import encode_turn
from odoo.exceptions import AccessError, UserError
from odoo.fields import Domain
from odoo.tools import html2plaintext

from .common import RunCase

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


class TestForking(RunCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.channel.sudo()._add_members(users=cls.bob)

    def answered(self, question="How much?", text="Forty-two."):
        run = self.request(question).sudo()
        run._begin(1)
        run._finish(RunState.DONE, text)
        return run

    def drawn(self):
        """A reply for which a tool has drawn a picture."""
        run = self.request("Draw it").sudo()
        run._begin(1)
        run.transcript = [
            encode_turn(Turn(AssistantMessage("", (ToolCall("call1", "look_up"),)), "tool_calls")),
            encode_turn(Turn(AssistantMessage("Here it is."), "stop")),
        ]
        call = self.call(run, "invoking")
        call._end(ToolResult("call1", "Drawn.", ToolCallState.DONE, 5, parts=(
            ToolPart("image", "image/png", PIXEL, name="it.png"), ToolPart("link", uri="http://127.0.0.1/it"),
        )))
        run._finish(RunState.DONE, "Here it is.")
        return run

    def fork(self, message, user=None):
        return self.channel.browse(self.channel.with_user(user or self.ann).ai_fork(message.id))

    def messages(self, channel):
        return self.env["mail.message"].search(
            [("model", "=", "discuss.channel"), ("res_id", "=", channel.id), ("message_type", "=", "comment")],
            order="id",
        )

    def told(self, run):
        run._begin(1)
        return [message.text for message in inputs.load(run).messages]

    def test_messages_up_to_there_are_copied_with_their_authors_and_dates(self):
        first = self.answered()
        first.trigger_message_id.date = "2020-01-02 03:04:05"
        second = self.answered("Sure?", "Yes.")
        fork = self.fork(second.trigger_message_id)
        copies = self.messages(fork)
        originals = self.messages(self.channel)[:3]
        for name in ("author_id", "body", "date", "message_type", "subtype_id"):
            self.assertEqual([copy[name] for copy in copies], [original[name] for original in originals])
        self.assertFalse(copies & originals)

    def test_it_is_a_conversation_of_the_person_and_the_assistant_alone(self):
        fork = self.fork(self.answered().message_id, self.bob)
        self.assertEqual(fork.channel_member_ids.partner_id, self.bob.partner_id | self.assistant.partner_id)
        self.assertEqual((fork.ai_assistant_id, fork.ai_reply_mode), (self.assistant, "always"))
        self.assertIn("(fork)", fork.name)

    def test_tools_that_are_off_stay_off(self):
        server = self.env["mcp.server"].create({"name": "Shop", "url": "http://127.0.0.1:1/mcp"})
        tool = self.env["mcp.tool"].create({"server_id": server.id, "name": "order"})
        self.channel.ai_disabled_tool_ids = tool
        fork = self.fork(self.answered().message_id)
        self.assertEqual(fork.ai_disabled_tool_ids, tool)

    def test_it_goes_on_where_the_other_one_was(self):
        fork = self.fork(self.answered().message_id)
        run = fork.with_user(self.ann)._ai_post("Sure?").sudo()
        self.assertEqual(self.told(run), ["How much?", "Forty-two.", "Sure?"])
        self.assertEqual(len(self.messages(self.channel)), 2)

    def test_tool_calls_are_copied_with_their_files(self):
        run = self.drawn()
        fork = self.fork(run.message_id)
        reply = self.messages(fork)[-1]
        call, copy = run.tool_call_ids, reply.tool_call_ids
        self.assertEqual((copy.call_id, copy.state, copy.response, copy.duration_ms), ("call1", "done", "Drawn.", 5))
        self.assertEqual((copy.run_id.channel_id, copy.run_id.message_id), (fork, reply))
        self.assertEqual(reply.attachment_ids, copy.attachment_ids)
        self.assertFalse(copy.attachment_ids & call.attachment_ids)
        self.assertEqual(copy.attachment_ids.raw, call.attachment_ids.raw)
        self.assertEqual(copy.attachment_ids.res_id, fork.id)
        self.assertEqual(copy.parts[0]["attachment_id"], copy.attachment_ids.id)
        self.assertEqual(copy.parts[1], call.parts[1])
        self.assertEqual(len(list(copy._images())), 1)

    def test_files_of_the_copy_outlive_the_original(self):
        run = self.drawn()
        fork = self.fork(run.message_id)
        self.channel.sudo().unlink()
        self.assertTrue(self.messages(fork)[-1].attachment_ids.raw)

    def test_a_call_that_is_open_is_cancelled_in_the_copy(self):
        run = self.drawn()
        self.env.cr.execute("UPDATE ai_tool_call SET state = 'approval' WHERE run_id = %s", [run.id])
        run.tool_call_ids.invalidate_recordset()
        copy = self.messages(self.fork(run.message_id))[-1].tool_call_ids
        self.assertEqual((copy.state, copy.is_error, run.tool_call_ids.state), ("cancelled", True, "approval"))

    def test_a_copy_costs_nothing(self):
        run = self.answered()
        run.write({"input_tokens": 5, "output_tokens": 6, "cost": 7})
        copy = self.messages(self.fork(run.message_id))[-1].ai_run_ids
        self.assertEqual((copy.input_tokens, copy.output_tokens, copy.cost), (0, 0, 0))
        budget = self.env["ai.budget"].create({"name": "Budget", "max_runs": 9, "period": "day"})
        self.assertFalse(self.env["ai.run"].search_count(budget._counted(self.ann) & Domain("id", "=", copy.id)))

    def test_the_last_reply_of_the_copy_can_be_made_anew_by_its_owner(self):
        run = self.answered()
        copy = self.messages(self.fork(run.message_id, self.bob))[-1].ai_run_ids
        again = copy.browse(copy.with_user(self.bob).regenerate())
        self.assertEqual((again.user_id, self.told(again)), (self.bob, ["How much?"]))
        self.assertFalse(run.is_replaced)

    def test_what_was_deleted_or_replaced_is_left_out(self):
        replaced = self.answered(text="Forty-one.")
        again = replaced.browse(replaced.with_user(self.ann).regenerate())
        again._begin(1)
        again._finish(RunState.DONE, "Forty-two.")
        deleted = self.answered("Never mind", "As you like.")
        deleted.trigger_message_id.body = ""
        for point, texts in (
            (deleted, ["How much?", "Forty-two.", "As you like."]),
            (replaced, ["How much?", "Forty-one."]),
        ):
            copies = self.messages(self.fork(point.message_id))
            self.assertEqual([html2plaintext(copy.body).strip() for copy in copies], texts)

    def test_nothing_of_it_is_unread_or_answered(self):
        fork = self.fork(self.answered().trigger_message_id)
        self.assertEqual(fork.with_user(self.ann).self_member_id.message_unread_counter, 0)
        self.assertFalse(self.env["ai.run"].search([("channel_id", "=", fork.id)]))

    def test_only_who_can_read_the_conversation_and_use_the_assistant_may(self):
        message = self.answered().message_id
        with self.assertRaises(AccessError):
            self.fork(message, self.boss)
        self.assistant.group_ids = self.env.ref("ai_discuss.group_ai_manager")
        with self.assertRaises(AccessError):
            self.fork(message, self.bob)

    def test_a_message_of_another_conversation_is_not_copied(self):
        message = self.answered().message_id
        other = self.channel.browse(self.assistant.with_user(self.bob).open_chat(new=True))
        with self.assertRaisesRegex(UserError, "no such message"):
            other.with_user(self.bob).ai_fork(message.id)
