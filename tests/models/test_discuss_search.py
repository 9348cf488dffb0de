"""Assistants are found like colleagues, by those who may use them."""

from .common import AiCase


class TestDiscussSearch(AiCase):
    def invited(self, user, term="zed", channel=None):
        found = self.env["res.partner"].with_user(user).search_for_channel_invite(term, channel and channel.id)
        return found["partner_ids"]

    def mentioned(self, user, channel, term="zed"):
        found = self.env["res.partner"].with_user(user).get_mention_suggestions_from_channel(channel.id, term)
        return [partner["id"] for partner in found.get("res.partner", [])]

    def test_people_find_the_assistants_that_they_may_use(self):
        partner = self.assistant.partner_id
        self.assertIn(partner.id, self.invited(self.ann))
        self.assertNotIn(partner.id, self.invited(self.ann, "nobody"))
        self.assistant.group_ids = self.env.ref("base.group_system")
        self.assertNotIn(partner.id, self.invited(self.ann))
        self.assertIn(partner.id, self.invited(self.admin))

    def test_an_archived_assistant_is_not_found(self):
        self.assistant.active = False
        self.assertNotIn(self.assistant.partner_id.id, self.invited(self.ann))

    def test_a_member_is_not_invited_again(self):
        channel = self.group_chat(self.ann, self.ben)
        self.assertIn(self.assistant.partner_id.id, self.invited(self.ann, channel=channel))
        channel.with_user(self.ann).add_members(self.assistant.partner_id.ids)
        self.assertNotIn(self.assistant.partner_id.id, self.invited(self.ann, channel=channel))

    def test_assistants_can_be_mentioned_in_conversations_of_several(self):
        open_channel = self.env["discuss.channel"].with_user(self.ann)._create_channel("Open", None)
        restricted = self.env["discuss.channel"].with_user(self.ann)._create_channel(
            "Restricted", self.env.ref("base.group_user").id
        )
        for channel in (open_channel, restricted, self.group_chat(self.ann, self.ben)):
            with self.subTest(type=channel.channel_type):
                self.assertIn(self.assistant.partner_id.id, self.mentioned(self.ann, channel))

    def test_a_conversation_of_two_people_stays_theirs(self):
        chat = self.env["discuss.channel"].with_user(self.ann)._get_or_create_chat(self.ben.partner_id.ids)
        self.assertNotIn(self.assistant.partner_id.id, self.mentioned(self.ann, chat))

    def test_nobody_mentions_an_assistant_where_it_would_not_answer(self):
        found = self.env["res.partner"].with_user(self.ann).get_mention_suggestions("zed")
        self.assertNotIn(self.assistant.partner_id.id, [p["id"] for p in found.get("res.partner", [])])

    def test_an_assistant_looks_available(self):
        partner = self.assistant.partner_id.with_user(self.ann)
        self.assertEqual(partner.im_status, "bot")
        self.assertTrue(partner.is_ai_assistant)
        self.assertFalse(self.ben.partner_id.is_ai_assistant)
        self.assertIn(partner, self.env["res.partner"].search([("is_ai_assistant", "=", True)]))
        self.assertNotIn(partner, self.env["res.partner"].search([("is_ai_assistant", "=", False)]))

    def test_its_face_is_its_own_and_can_be_replaced(self):
        other = self.env["ai.assistant"].create({"name": "Other"})
        self.assertTrue(self.assistant.avatar_1920)
        self.assertNotEqual(self.assistant.partner_id.avatar_128, other.partner_id.avatar_128)
        pixel = b"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
        other.avatar_1920 = pixel
        self.assertTrue(other.partner_id.image_1920)
        other.avatar_1920 = False
        self.assertFalse(other.partner_id.image_1920)
        self.assertTrue(other.avatar_1920)
