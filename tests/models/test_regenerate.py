"""Another reply to the same question: in the place of one, or as the rest of one that broke off."""

from markupsafe import Markup
from odoo.addons.ai_discuss.runtime import inputs
from odoo.addons.ai_discuss.services import history
from odoo.addons.ai_discuss.services.messages import AssistantMessage, Turn
from odoo.addons.ai_discuss.services.states import RunState
from odoo.addons.ai_discuss.services.transcript import encode_turn
from odoo.exceptions import AccessError, UserError

from .common import RunCase


class AgainCase(RunCase):
    def answered(self, text="Forty-two.", state=RunState.DONE, question="How much?"):
        run = self.request(question).sudo()
        run._begin(1)
        run._finish(state, text)
        return run

    def again(self, run, method="regenerate", user=None):
        """The run that is requested for the same question."""
        return run.browse(getattr(run.with_user(user or self.ann), method)())

    def ended(self, run, text="", state=RunState.DONE):
        run._begin(run.attempt + 1)
        run._finish(state, text)
        return run

    def told(self, run):
        """What the model of `run` is told, once it is at work."""
        if run.state == "queued":
            run._begin(run.attempt + 1)
        return [message.text for message in inputs.load(run).messages]


class TestRegenerating(AgainCase):
    def test_the_same_question_is_answered_by_another_run(self):
        run = self.answered()
        again = self.again(run)
        self.assertEqual((again.state, again.user_id, again.replaces_run_id), ("queued", self.ann, run))
        self.assertEqual(again.trigger_message_id, run.trigger_message_id)
        self.assertEqual(len(self.jobs(again)), 1)

    def test_the_reply_that_was_replaced_stays_and_no_model_reads_it(self):
        run = self.answered("Forty-one.")
        again = self.again(run)
        self.assertTrue(run.is_replaced)
        self.assertIn("Forty-one.", run.message_id.body)
        self.assertEqual(self.told(again), ["How much?"])
        again._finish(RunState.DONE, "Forty-two.")
        self.assertEqual(self.told(self.request("Sure?").sudo()), ["How much?", "Forty-two.", "Sure?"])

    def test_an_earlier_reply_can_be_replaced_and_stands_behind_its_own_question(self):
        run = self.answered("Forty-one.")
        self.answered("Yes.", question="Sure?")
        self.ended(self.again(run), "Forty-two.")
        told = self.told(self.request("Really?").sudo())
        self.assertEqual(told, ["How much?", "Forty-two.", "Sure?", "Yes.", "Really?"])

    def test_where_nothing_comes_of_it_the_old_reply_counts_again(self):
        run = self.answered()
        again = self.again(run)
        again.with_user(self.ann)._stop()
        self.assertEqual((again.state, run.is_replaced), ("cancelled", False))
        self.assertEqual(self.told(self.request("Sure?").sudo()), ["How much?", "Forty-two.", "Sure?"])

    def test_who_tries_again_after_a_failure_replaces_what_the_failed_one_was_to_replace(self):
        first = self.answered("Forty-one.")
        second = self.ended(self.again(first), state=RunState.ERROR)
        third = self.again(second)
        self.assertTrue(first.is_replaced and second.is_replaced)
        self.ended(third, state=RunState.ERROR)
        self.assertFalse(first.is_replaced or second.is_replaced)
        fourth = self.ended(self.again(third), "Forty-two.")
        self.assertEqual((first | second | third | fourth).filtered("is_replaced"), first | second | third)

    def test_a_reply_that_was_replaced_for_good_does_not_come_back(self):
        first = self.answered("Forty.")
        second = self.ended(self.again(first), "Forty-one.")
        self.ended(self.again(second), state=RunState.ERROR)
        self.assertEqual((first.is_replaced, second.is_replaced), (True, False))

    def test_who_clicks_twice_gets_one_reply(self):
        run = self.answered()
        self.assertEqual(self.again(run), self.again(run))

    def test_there_is_only_one_newest_reply(self):
        run = self.answered()
        self.ended(self.again(run), "Forty-two.")
        with self.assertRaisesRegex(UserError, "newer reply"):
            self.again(run)

    def test_only_the_one_who_asked_may(self):
        run = self.answered(state=RunState.CANCELLED)
        self.channel.sudo()._add_members(users=self.bob | self.boss)
        for method in ("regenerate", "continue_reply"):
            for stranger in (self.bob, self.boss):
                with self.assertRaises(AccessError):
                    self.again(run, method, stranger)

    def test_who_has_left_may_no_longer(self):
        run = self.answered()
        self.channel.sudo()._action_unfollow(partner=self.ann.partner_id)
        with self.assertRaises(AccessError):
            self.again(run)

    def test_what_is_not_finished_is_not_made_anew(self):
        with self.assertRaisesRegex(UserError, "not finished"):
            self.again(self.running())

    def test_a_question_that_was_deleted_is_not_answered_anew(self):
        run = self.answered()
        run.trigger_message_id.body = ""
        with self.assertRaisesRegex(UserError, "deleted"):
            self.again(run)

    def test_budgets_count_it(self):
        run = self.answered()
        self.env["ai.budget"].create({"name": "One", "max_runs": 1, "period": "day"})
        with self.assertRaisesRegex(UserError, "One"):
            self.again(run)
        self.assertFalse(run.is_replaced)

    def test_everybody_is_told_what_was_replaced(self):
        run = self.answered()
        self.env.cr.precommit.run()
        self.env["bus.bus"].search([]).unlink()
        self.again(run)
        self.env.cr.precommit.run()
        told = " ".join(self.env["bus.bus"].search([]).mapped("message")).replace(" ", "")
        self.assertIn(f'"id":{run.id},"is_replaced":true', told)


class TestContinuing(AgainCase):
    def test_the_model_is_told_what_it_has_said_and_to_go_on(self):
        run = self.answered("Once upon", RunState.CANCELLED)
        more = self.again(run, "continue_reply")
        self.assertEqual(self.told(more), ["How much?", "Once upon", history.GO_ON])
        more._finish(RunState.DONE, "a time.")
        self.assertFalse(run.is_replaced)
        told = self.told(self.request("Thanks").sudo())
        self.assertEqual(told, ["How much?", "Once upon\n\na time.", "Thanks"])

    def test_a_rest_that_is_made_anew_is_still_the_rest(self):
        run = self.answered("Once upon", RunState.CANCELLED)
        more = self.ended(self.again(run, "continue_reply"), "a tim.")
        again = self.again(more)
        self.assertEqual(again.continues_run_id, run)
        self.assertEqual(self.told(again), ["How much?", "Once upon", history.GO_ON])

    def test_a_reply_is_incomplete_after_a_stop_an_error_and_a_limit(self):
        for state, text, incomplete in (
            (RunState.CANCELLED, "Once", True),
            (RunState.ERROR, "Once", True),
            (RunState.DONE, "Once", False),
            (RunState.ERROR, "", False),
        ):
            self.assertIs(self.answered(text, state).is_incomplete, incomplete)
        for reason, incomplete in (("length", True), ("stop", False)):
            run = self.running()
            run.transcript = [encode_turn(Turn(AssistantMessage("Once"), reason))]
            run._finish(RunState.DONE, "Once")
            self.assertIs(run.is_incomplete, incomplete)

    def test_a_reply_whose_rounds_were_used_up_is_incomplete(self):
        self.assistant.max_rounds = 2
        for rounds, incomplete in ((1, False), (2, True)):
            run = self.running()
            self.call(run, "done")
            run.rounds = rounds
            run._finish(RunState.DONE, "So far.")
            self.assertIs(run.is_incomplete, incomplete)

    def test_what_is_complete_is_not_continued(self):
        with self.assertRaisesRegex(UserError, "complete"):
            self.again(self.answered(), "continue_reply")

    def test_what_was_continued_is_not_made_anew(self):
        run = self.answered("Once upon", RunState.CANCELLED)
        self.ended(self.again(run, "continue_reply"), "a time.")
        with self.assertRaisesRegex(UserError, "newer reply"):
            self.again(run)

    def test_what_is_being_continued_is_not_made_anew(self):
        run = self.answered("Once upon", RunState.CANCELLED)
        more = self.again(run, "continue_reply")
        with self.assertRaisesRegex(UserError, "not finished"):
            self.again(run)
        self.assertFalse(run.is_replaced)
        self.assertEqual(self.told(more), ["How much?", "Once upon", history.GO_ON])


class TestResending(AgainCase):
    def resend(self, question, body=None, user=None):
        if body:
            question.body = body
        return self.env["ai.run"].browse(self.channel.with_user(user or self.ann).ai_resend(question.id))

    def test_the_question_is_answered_as_it_reads_by_now(self):
        run = self.answered("Forty-two.")
        again = self.resend(run.trigger_message_id, "How many?")
        self.assertEqual((again.replaces_run_id, run.is_replaced), (run, True))
        self.assertEqual(self.told(again), ["How many?"])

    def test_a_reply_that_is_being_made_is_stopped(self):
        queued = self.request("How much?").sudo()
        self.resend(queued.trigger_message_id)
        self.assertEqual((queued.state, queued.is_replaced), ("cancelled", True))
        running = self.running()
        again = self.resend(running.trigger_message_id)
        self.assertTrue(running.stop_requested)
        running._finish(RunState.CANCELLED, "Forty-")
        self.assertTrue(running.is_replaced)
        self.assertEqual(self.told(again)[-1], "Hello?")

    def test_a_reply_is_replaced_with_its_rest_and_comes_back_with_it(self):
        run = self.answered("Once upon", RunState.CANCELLED)
        more = self.ended(self.again(run, "continue_reply"), "a time.")
        again = self.resend(run.trigger_message_id)
        self.assertTrue(run.is_replaced and more.is_replaced)
        self.ended(again, state=RunState.ERROR)
        self.assertFalse(run.is_replaced or more.is_replaced)

    def test_who_is_mentioned_by_now_answers(self):
        run = self.answered()
        other = self.assistant.copy({"name": "Other"})
        run.trigger_message_id.partner_ids = other.partner_id
        again = self.resend(run.trigger_message_id)
        self.assertEqual((again.assistant_id, again.replaces_run_id.id, run.is_replaced), (other, False, True))

    def test_only_ones_own_last_question_is_sent_again(self):
        first = self.answered().trigger_message_id
        self.channel.sudo()._add_members(users=self.bob)
        with self.assertRaises(AccessError):
            self.resend(first, user=self.bob)
        reply = self.answered().message_id
        with self.assertRaises(AccessError):
            self.resend(reply)
        with self.assertRaisesRegex(UserError, "last question"):
            self.resend(first)

    def test_who_has_left_sends_nothing_again(self):
        question = self.answered().trigger_message_id
        channel = self.channel.with_user(self.ann)
        self.channel.sudo()._action_unfollow(partner=self.ann.partner_id)
        with self.assertRaisesRegex(AccessError, "not a member"):
            channel.ai_resend(question.id)

    def test_a_message_of_another_conversation_is_not_sent_again(self):
        question = self.answered().trigger_message_id
        other = self.channel.browse(self.assistant.with_user(self.ann).open_chat(new=True))
        with self.assertRaises(AccessError):
            other.with_user(self.ann).ai_resend(question.id)

    def test_budgets_count_it(self):
        run = self.answered()
        self.env["ai.budget"].create({"name": "One", "max_runs": 1, "period": "day"})
        with self.assertRaisesRegex(UserError, "One"):
            self.resend(run.trigger_message_id)
        self.assertFalse(run.is_replaced)

    def test_an_assistant_that_may_no_longer_be_used_is_not_asked_again(self):
        other = self.assistant.copy({"name": "Notty"})
        body = Markup().join(
            Markup("<a data-oe-model='res.partner' data-oe-id='%s'>@%s</a>") % (partner.id, partner.name)
            for partner in (self.assistant | other).partner_id
        )
        self.channel.ai_reply_mode = "mention"
        question = self.channel.with_user(self.ann).message_post(
            body=body, message_type="comment", subtype_xmlid="mail.mt_comment",
            partner_ids=(self.assistant | other).partner_id.ids,
        )
        self.assertEqual(len(question.sudo().env["ai.run"].search([("trigger_message_id", "=", question.id)])), 2)
        other.group_ids = self.env.ref("base.group_system")
        self.assertEqual(self.resend(question).assistant_id, self.assistant)
