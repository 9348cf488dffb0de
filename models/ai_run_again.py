"""Asking for a reply once more: another one in its place, or the rest of one that broke off.

The question stays the same, and so do the replies; one that was replaced is told to no model any more. Only the one
who asked may do this: the new run acts with their rights, as the one before.
"""

from odoo import fields, models
from odoo.exceptions import AccessError, UserError

from ..services.states import RUN_ENDS, RunState

TOO_LONG = "length"  # how a turn ends that the provider has cut


class AiRun(models.Model):
    _inherit = "ai.run"

    replaces_run_id = fields.Many2one(
        "ai.run", "Replaces", readonly=True, ondelete="set null", index="btree_not_null",
        help="The run whose reply this one's takes the place of.",
    )
    continues_run_id = fields.Many2one(
        "ai.run", "Continues", readonly=True, ondelete="set null", index="btree_not_null",
        help="The run whose reply had broken off, and goes on in this one's.",
    )
    is_replaced = fields.Boolean(
        "Replaced", readonly=True,
        help="Another reply has taken the place of this one's, or is about to. People can read it, models do not.",
    )
    is_incomplete = fields.Boolean(
        "Incomplete", readonly=True, help="The reply was stopped, failed or reached a limit: it can be continued."
    )

    def regenerate(self):
        """Have the question answered anew. The id of the run that does, also where it exists already."""
        run = self._own_run()
        under_way = run._under_way_again()
        if run in under_way._with_earlier(lambda later: later.continues_run_id):
            raise UserError(self.env._("The assistant has not finished this reply yet."))
        again = under_way or run._request_again({
            "replaces_run_id": run.id, "continues_run_id": run.continues_run_id.id,
        })
        run._replace()
        return again.id

    def continue_reply(self):
        """Have the rest said of a reply that broke off. The id of the run that does, also where it exists already."""
        run = self._own_run()
        if not run.is_incomplete:
            raise UserError(self.env._("This reply is complete."))
        return (run._under_way_again() or run._request_again({"continues_run_id": run.id})).id

    def _own_run(self):
        """The run with sudo and held, for the one who asked; it must have ended."""
        self.ensure_one()
        # sudo: ai.run - only the caller's own is returned
        run = self.sudo().exists()
        if run.user_id != self.env.user:
            raise AccessError(self.env._("Only the person who asked may do this."))
        run._lock()
        if run.state not in RUN_ENDS:
            raise UserError(self.env._("The assistant has not finished this reply yet."))
        return run

    def _under_way_again(self):
        """The run that is at work on the same question: who clicks twice gets one reply."""
        return self._later_runs().filtered(lambda run: run.state not in RUN_ENDS and not run.is_replaced)[:1]

    def _later_runs(self):
        """The later replies of this assistant to the same question."""
        if not self.trigger_message_id:
            return self.browse()
        return self.search([
            ("trigger_message_id", "=", self.trigger_message_id.id),
            ("channel_id", "=", self.channel_id.id),
            ("assistant_id", "=", self.assistant_id.id),
            ("id", ">", self.id),
        ])

    def _request_again(self, links):
        """Request a run for the same question; `links` say how the two are related.

        Raises:
            RateLimited: a budget does not allow it.
        """
        question = self.trigger_message_id
        if not self.channel_id or not question or question._ai_is_deleted():
            raise UserError(self.env._("The question was deleted."))
        if self.is_replaced or any(run._has_answered() and not run.is_replaced for run in self._later_runs()):
            raise UserError(self.env._("There is a newer reply to this question."))
        self._mark_changed()  # who does the same at this moment begins anew, and finds it done
        asked = self.sudo(False)
        self.env["ai.budget"]._check(asked.assistant_id, self.env.user)
        return asked._request(asked.channel_id, asked.assistant_id, asked.trigger_message_id, **links)

    def _replace(self):
        """Another reply takes the place of these, and of those that they were to replace."""
        self._with_earlier(lambda run: run.replaces_run_id)._mark_replaced(True)

    def _restore(self):
        """This reply counts again: nothing came of the one that was to replace it. Neither where it is none itself nor
        where it is the rest of another one does it stand alone."""
        def earlier(run):
            return run.continues_run_id | (run.browse() if run._has_answered() else run.replaces_run_id)

        self._with_earlier(earlier)._mark_replaced(False)

    def _with_earlier(self, earlier):
        """These runs, and those to which `earlier` leads from them, however far."""
        runs, found = self, self
        while found:
            found = self.browse().union(*map(earlier, found)) - runs
            runs |= found
        return runs

    def _mark_replaced(self, is_replaced):
        changed = self.filtered(lambda run: run.is_replaced != is_replaced)
        changed.is_replaced = is_replaced
        changed._broadcast(["is_replaced"])

    def _has_answered(self):
        """Whether its reply can stand in the place of another one."""
        return self.state == RunState.DONE or bool(self.text)

    def _end(self, state):
        self.is_incomplete = bool(self.text or self.tool_call_ids) and self._is_cut(state)
        super()._end(state)
        if self.replaces_run_id and not self.is_replaced and not self._has_answered():
            self.replaces_run_id._restore()

    def _is_cut(self, state):
        """Whether the model would have gone on."""
        if state != RunState.DONE:
            return True
        if self.transcript and self.transcript[-1]["finish_reason"] == TOO_LONG:
            return True
        return bool(self.tool_call_ids) and self.rounds >= self._strictest("max_rounds", self.assistant_id.max_rounds)

    def _store_fields(self, asker_fields=()):
        return [*super()._store_fields(asker_fields), "is_incomplete", "is_replaced"]


class DiscussChannel(models.Model):
    _inherit = "discuss.channel"

    def ai_resend(self, message_id):
        """Have the caller's last question here answered anew, as it reads by now. The ids of the runs that do.

        Raises:
            RateLimited: a budget does not allow it.
        """
        self.ensure_one()
        question = self._ai_own_question(message_id)
        # sudo: ai.run - the caller's own, of a conversation in which they are a member
        runs = self.env["ai.run"].sudo().search([
            ("trigger_message_id", "=", question.id), ("user_id", "=", self.env.uid), ("is_replaced", "=", False),
        ])
        addressed = self._ai_addressed(question).filtered(lambda assistant: assistant._is_usable(self.env.user))
        assistants = (addressed or runs.assistant_id).sudo(False)
        for assistant in assistants:
            self.env["ai.budget"]._check(assistant, self.env.user)
        runs._replace()  # before they end: what is replaced needs no reply to come back
        for run in runs:
            run.sudo(False)._stop()
        return [self._ai_request_anew(question, assistant, runs).id for assistant in assistants]

    def _ai_request_anew(self, question, assistant, runs):
        """Request a run that answers `question` in the place of those of `runs` that are of this assistant."""
        latest = runs.filtered(lambda run: run.assistant_id == assistant).sorted("id")[-1:]
        return self.env["ai.run"]._request(self, assistant, question, replaces_run_id=latest.id)

    def _ai_own_question(self, message_id):
        """The caller's message of this id in this conversation, after which they have asked nothing."""
        if not self.is_member:
            raise AccessError(self.env._("You are not a member of this conversation."))
        # sudo: mail.message - the caller is a member of the conversation that it must be of
        question = self.env["mail.message"].sudo().browse(message_id).exists()
        if (question.model, question.res_id) != (self._name, self.id) or not self._ai_is_said_by_a_person(question):
            raise AccessError(self.env._("Only your own questions can be sent again."))
        # sudo: ai.run - the caller's own
        [(last,)] = self.env["ai.run"].sudo()._read_group(
            [("channel_id", "=", self.id), ("user_id", "=", self.env.uid)], aggregates=["trigger_message_id:max"]
        )
        if last and last > question.id:
            raise UserError(self.env._("Only your last question can be sent again."))
        return question
