"""What people say of replies: one opinion each, told to nobody but managers of assistants."""

import json

from odoo.addons.ai_discuss.services.states import RunState
from odoo.addons.mail.tools.discuss import Store
from odoo.exceptions import AccessError, UserError

from .common import RunCase


class TestFeedback(RunCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.channel.sudo()._add_members(users=cls.bob)
        cls.run_of_ann = cls.channel.with_user(cls.ann)._ai_post("How much?").sudo()
        cls.run_of_ann._begin(1)
        cls.run_of_ann._finish(RunState.DONE, "Forty-two.")

    def give(self, user, *args):
        self.run_of_ann.with_user(user).give_feedback(*args)

    def given(self):
        feedback = self.env["ai.feedback"].search([("run_id", "=", self.run_of_ann.id)], order="id")
        return [(one.user_id, one.rating, one.comment) for one in feedback]

    def shown(self, user):
        data = Store().add(self.run_of_ann.message_id.with_user(user)).get_result()
        return data["ai.run"][0]["own_rating"], data["ai.run"][0]["own_comment"]

    def test_each_person_has_one_opinion_of_a_reply(self):
        self.give(self.ann, "up")
        self.give(self.bob, "down", " Too short. ")
        self.give(self.ann, "down", "Wrong.")
        self.assertEqual(self.given(), [(self.ann, "down", "Wrong."), (self.bob, "down", "Too short.")])

    def test_an_opinion_can_be_taken_back(self):
        self.give(self.ann, "up")
        self.give(self.ann, False)
        self.assertEqual(self.given(), [])

    def test_people_are_shown_their_own_and_nobody_elses(self):
        self.give(self.ann, "down", "Wrong.")
        self.assertEqual(self.shown(self.ann), ("down", "Wrong."))
        self.assertEqual(self.shown(self.bob), (False, False))
        with self.assertRaises(AccessError):
            self.env["ai.feedback"].with_user(self.bob).search([])

    def test_the_bus_tells_it_to_nobody_else(self):
        self.env.cr.precommit.run()
        self.env["bus.bus"].search([]).unlink()
        self.give(self.ann, "down", "Wrong.")
        self.run_of_ann._broadcast()
        self.env.cr.precommit.run()
        told = self.env["bus.bus"].search([("message", "like", "own_rating")])
        self.assertEqual(len(told), 1)
        self.assertEqual(json.loads(told.channel)[1:], ["res.partner", self.ann.partner_id.id])

    def test_only_who_can_read_the_reply_has_an_opinion_of_it(self):
        self.channel.with_user(self.bob).action_unfollow()
        with self.assertRaises(AccessError):
            self.give(self.bob, "up")

    def test_a_reply_is_good_or_bad(self):
        with self.assertRaises(UserError):
            self.give(self.ann, "meh")

    def test_managers_see_what_was_said_of_which_assistant_and_model(self):
        self.give(self.ann, "down", "Wrong.")
        feedback = self.env["ai.feedback"].with_user(self.boss).search([("assistant_id", "=", self.assistant.id)])
        self.assertEqual((feedback.model_name, feedback.reply), ("scripted", "Forty-two."))
        self.assertEqual(feedback.display_name, f"{self.ann.name} on Botty")

    def test_the_opinions_of_many_replies_are_found_with_one_query(self):
        runs = self.run_of_ann.union(*(self.channel.with_user(self.ann)._ai_post("And now?") for _ in range(3)))
        self.env.flush_all()
        self.env.invalidate_all()
        with self.assertQueryCount(1):
            self.assertEqual([run.own_rating for run in runs.with_user(self.ann).sudo()], [False] * 4)
