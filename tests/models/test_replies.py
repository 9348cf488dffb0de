"""Whose message gets which assistant's reply."""

from markupsafe import Markup
from odoo.addons.mail.tools.discuss import Store
from odoo.exceptions import AccessError

from .common import AiCase


class TestReplies(AiCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.other = cls.env["ai.assistant"].create({"name": "Other", "provider_id": cls.provider.id, "model": "m"})

    def group_with_assistant(self, *users, mode="mention"):
        channel = self.group_chat(*users)
        channel.with_user(users[0]).write({"ai_assistant_id": self.assistant.id, "ai_reply_mode": mode})
        return channel

    def queued(self, run):
        self.env.cr.execute("SELECT count(*) FROM procrastinate_jobs WHERE (args->>'run_id')::int = %s", [run.id])
        return self.env.cr.fetchone()[0]

    def told_after(self, channel):
        """What ann alone reads after she said something, as JSON."""
        self.env.cr.precommit.run()
        self.env["bus.bus"].sudo().search([]).unlink()
        self.say(channel, self.ann)
        self.env.cr.precommit.run()
        told = self.env["bus.bus"].sudo().search([("message", "like", "transient_message")])
        return "".join(told.mapped("message"))

    # -- conversations with an assistant

    def test_a_chat_with_an_assistant_answers_to_everything(self):
        channel = self.env["discuss.channel"].browse(self.assistant.with_user(self.ann).open_chat())
        self.assertEqual((channel.ai_assistant_id, channel.ai_reply_mode), (self.assistant, "always"))
        self.assertEqual(channel.channel_member_ids.partner_id, self.ann.partner_id | self.assistant.partner_id)
        message = self.say(channel, self.ann)
        run = self.runs_of(channel)
        self.assertEqual((run.assistant_id, run.user_id, run.trigger_message_id), (self.assistant, self.ann, message))
        self.assertEqual(self.queued(run), 1)

    def test_whoever_may_not_use_it_any_more_is_told_so_in_their_chat_with_it(self):
        chat = self.env["discuss.channel"].browse(self.assistant.with_user(self.ann).open_chat())
        group = self.group_with_assistant(self.ann, self.ben, mode="always")
        self.assistant.group_ids = self.env.ref("base.group_system")
        self.assertIn("does not answer you any more", self.told_after(chat))
        self.assertFalse(self.told_after(group), "people also talk to each other there")
        self.assertFalse(self.runs_of(chat) | self.runs_of(group))

    def test_opening_twice_is_the_same_chat_and_a_new_one_is_fresh(self):
        assistant = self.assistant.with_user(self.ann)
        first, again, fresh, fresher = (assistant.open_chat(new) for new in (False, False, True, True))
        self.assertEqual(first, again)
        self.assertEqual(len({first, fresh, fresher}), 3)
        channel = self.env["discuss.channel"].browse(fresh)
        self.assertEqual((channel.ai_assistant_id, channel.ai_reply_mode), (self.assistant, "always"))
        self.say(channel, self.ann, "Where is the nearest warehouse that still has pens, please?")
        self.assertEqual(channel.name, "Where is the nearest warehouse that…")
        self.say(channel, self.ann, "And pencils?")
        self.assertEqual(channel.name, "Where is the nearest warehouse that…")

    def test_a_name_that_somebody_gives_a_conversation_stays(self):
        channel = self.env["discuss.channel"].browse(self.assistant.with_user(self.ann).open_chat(new=True))
        channel.with_user(self.ann).channel_rename("Warehouses")
        self.say(channel, self.ann, "Where is the nearest one?")
        self.assertEqual(channel.name, "Warehouses")

    def test_clients_are_told_whether_a_conversation_has_an_assistant(self):
        def told(channel):
            return Store().add(channel.with_user(self.ann)).get_result()["discuss.channel"][0]["has_ai_assistant"]

        group = self.group_chat(self.ann, self.ben)
        self.assertIs(told(group), False)
        self.assertIs(told(self.group_with_assistant(self.ann)), True)
        fresh = self.env["discuss.channel"].browse(self.assistant.with_user(self.ann).open_chat(new=True))
        self.assertIs(told(fresh), True)

    def test_a_chat_that_discuss_opens_is_the_same(self):
        opened = self.env["discuss.channel"].with_user(self.ann)._get_or_create_chat(self.assistant.partner_id.ids)
        self.assertEqual(opened.id, self.assistant.with_user(self.ann).open_chat())

    def test_who_may_not_use_an_assistant_opens_no_chat_with_it(self):
        self.assistant.group_ids = self.env.ref("base.group_system")
        with self.assertRaises(AccessError):
            self.env["discuss.channel"].with_user(self.ann)._get_or_create_chat(self.assistant.partner_id.ids)
        with self.assertRaises(AccessError):
            self.group_chat(self.ann, self.ben).with_user(self.ann).add_members(self.assistant.partner_id.ids)
        with self.assertRaises(AccessError):
            self.group_with_assistant(self.ann, self.ben)

    # -- modes

    def test_modes_decide_whose_messages_are_answered(self):
        rows = [  # mode, mentioned, who answers
            ("always", None, self.assistant),
            ("always", self.other, self.other),
            ("mention", None, None),
            ("mention", self.assistant, self.assistant),
            ("mention", self.other, self.other),
            ("off", None, None),
            ("off", self.assistant, None),
        ]
        for mode, mentioned, answers in rows:
            with self.subTest(mode=mode, mentioned=mentioned and mentioned.name):
                channel = self.group_with_assistant(self.ann, self.ben, mode=mode)
                self.say(channel, self.ann, partner_ids=mentioned.partner_id.ids if mentioned else [])
                self.assertEqual(self.runs_of(channel).assistant_id, answers or self.env["ai.assistant"])

    def test_a_name_that_is_only_typed_is_no_mention(self):
        channel = self.group_with_assistant(self.ann, self.ben)
        self.say(channel, self.ann, "@Zed Helper hello?")
        self.assertFalse(self.runs_of(channel))

    def test_a_mentioned_assistant_takes_a_seat_without_a_word(self):
        channel = self.group_chat(self.ann, self.ben)
        before = channel.message_ids
        message = self.say(channel, self.ann, partner_ids=self.assistant.partner_id.ids)
        self.assertEqual(self.runs_of(channel).assistant_id, self.assistant)
        self.assertIn(self.assistant.partner_id, channel.channel_member_ids.partner_id)
        self.assertEqual(channel.message_ids - before, message)

    def test_two_mentioned_assistants_answer_once_each(self):
        channel = self.group_with_assistant(self.ann, self.ben, mode="always")
        partners = (self.assistant | self.other).partner_id
        self.say(channel, self.ann, partner_ids=[*partners.ids, *partners.ids])
        self.assertEqual(sorted(self.runs_of(channel).assistant_id.ids), sorted((self.assistant | self.other).ids))
        self.assertEqual(len(self.runs_of(channel)), 2)

    def test_mentioning_an_assistant_of_others_is_only_text(self):
        self.other.group_ids = self.env.ref("base.group_system")
        channel = self.group_with_assistant(self.ann, self.ben)
        message = self.say(channel, self.ann, partner_ids=self.other.partner_id.ids)
        self.assertFalse(self.runs_of(channel))
        self.assertFalse(message.partner_ids)

    # -- who is answered

    def test_q46_only_what_people_say_themselves_is_answered(self):
        channel = self.group_with_assistant(self.ann, self.ben, mode="always")
        bot = self.env.ref("base.partner_root")
        self.say(channel, self.ann, author_id=self.assistant.partner_id.id)
        self.say(channel, self.ann, author_id=self.other.partner_id.id, partner_ids=self.assistant.partner_id.ids)
        self.say(channel, self.ann, author_id=bot.id)
        self.say(channel, self.ann, author_id=self.ben.partner_id.id)
        self.say(channel, self.env.ref("base.user_root"))
        self.say(channel, self.ann, message_type="notification")
        self.say(channel, self.ann, message_type="email")
        self.say(channel, self.ann, message_type="auto_comment")
        self.say(channel, self.ann, body="")
        self.assertFalse(self.runs_of(channel))
        self.say(channel, self.ann)
        self.assertEqual(len(self.runs_of(channel)), 1)

    def test_q47_people_from_outside_are_not_answered(self):
        channel = self.group_with_assistant(self.ann, self.ben, mode="always")
        channel.add_members(self.paula.partner_id.ids)
        guest = self.env["mail.guest"].create({"name": "Guest"})
        channel.add_members(guest_ids=guest.ids)
        self.say(channel, self.paula)
        self.say(channel, self.paula, partner_ids=self.assistant.partner_id.ids)
        self.say(channel.with_context(guest=guest), self.public)
        self.assertFalse(self.runs_of(channel))

    def test_q47_who_is_no_member_is_not_answered(self):
        channel = self.env["discuss.channel"].with_user(self.ann)._create_channel("Open", None)
        channel.with_user(self.ann).write({"ai_assistant_id": self.assistant.id, "ai_reply_mode": "always"})
        self.say(channel, self.ben)
        self.assertFalse(self.runs_of(channel))

    def test_q44_editing_and_deleting_ask_nobody(self):
        channel = self.group_with_assistant(self.ann, self.ben)
        message = self.say(channel, self.ann)
        channel.with_user(self.ann).sudo()._message_update_content(
            message, body="Hello again", partner_ids=self.assistant.partner_id.ids
        )
        channel.with_user(self.ann).sudo()._message_update_content(message, body="", attachment_ids=[])
        self.assertFalse(self.runs_of(channel))

    def test_no_context_of_a_client_suppresses_or_repeats_a_reply(self):
        channel = self.group_with_assistant(self.ann, self.ben, mode="always")
        self.say(channel.with_context(ai_requested_by={}), self.ann)
        self.assertEqual(len(self.runs_of(channel)), 1)

    # -- the stream's way in

    def test_posting_for_the_stream_asks_exactly_once_in_every_mode(self):
        for mode in ("always", "mention", "off"):
            with self.subTest(mode=mode):
                channel = self.group_with_assistant(self.ann, self.ben, mode=mode)
                run = channel.with_user(self.ann)._ai_post("Hi", idempotency_key="k")
                self.assertEqual(self.runs_of(channel), run.sudo())
                message = run.sudo().trigger_message_id
                self.assertEqual(message.author_id, self.ann.partner_id)
                self.assertIn("Hi", message.body)

    def test_posting_for_the_stream_is_for_members_who_may_use_the_assistant(self):
        channel = self.env["discuss.channel"].with_user(self.ann)._create_channel("Open", None)
        channel.with_user(self.ann).ai_assistant_id = self.assistant
        with self.assertRaises(AccessError):
            channel.with_user(self.ben)._ai_post("Hi")
        self.assistant.group_ids = self.env.ref("base.group_system")
        with self.assertRaises(AccessError):
            channel.with_user(self.ann)._ai_post("Hi")

    # -- leaving

    def test_an_assistant_that_leaves_is_no_longer_the_conversations_own(self):
        channel = self.group_with_assistant(self.ann, self.ben)
        channel.sudo()._action_unfollow(self.assistant.partner_id, post_leave_message=False)
        self.assertFalse(channel.ai_assistant_id)


class TestStoredMessages(AiCase):
    def test_messages_are_remembered_as_text(self):
        channel = self.env["discuss.channel"].browse(self.assistant.with_user(self.ann).open_chat())
        asked = self.say(channel, self.ann, Markup("<p>What is <b>this</b>?</p><p>Second line</p>"))
        answered = channel.sudo().message_post(
            author_id=self.assistant.partner_id.id, body="An answer", message_type="comment"
        )
        no_run = self.env["ai.run"]
        stored = asked._ai_stored(self.assistant, no_run)
        self.assertEqual((stored.author, stored.is_assistant), (self.ann.name, False))
        self.assertIn("What is", stored.text)
        self.assertIn("Second line", stored.text)
        stored = answered._ai_stored(self.assistant, no_run)
        self.assertEqual((stored.text, stored.is_assistant), ("An answer", True))
