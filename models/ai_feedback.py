"""What people say of an assistant's replies: good or bad, and why. One opinion per person and reply."""

from odoo import api, fields, models
from odoo.addons.mail.tools.discuss import Store
from odoo.exceptions import UserError

RATINGS = [("up", "Good"), ("down", "Bad")]
COMMENT_LENGTH = 2_000  # characters


class AiFeedback(models.Model):
    _name = "ai.feedback"
    _description = "AI Feedback"
    _order = "id desc"

    run_id = fields.Many2one(
        "ai.run", required=True, readonly=True, ondelete="cascade", index=True, help="The run that has made the reply."
    )
    user_id = fields.Many2one(
        "res.users", "Person", required=True, readonly=True, ondelete="cascade", index=True, help="Whose opinion it is."
    )
    rating = fields.Selection(RATINGS, required=True, readonly=True, help="Whether the reply was of use.")
    comment = fields.Text(readonly=True, help="What was good or bad about it, in the person's words.")
    # of the run, stored to be counted by
    assistant_id = fields.Many2one(related="run_id.assistant_id", store=True, index=True)
    channel_id = fields.Many2one(related="run_id.channel_id")
    company_id = fields.Many2one(related="run_id.company_id", store=True)
    model_name = fields.Char(related="run_id.model_name", store=True)
    reply = fields.Text(related="run_id.text", string="Reply")

    _one_per_person = models.UniqueIndex("(run_id, user_id)", "There is one opinion per person and reply.")

    @api.depends("assistant_id", "user_id")
    def _compute_display_name(self):
        for feedback in self:
            feedback.display_name = self.env._(
                "%(person)s on %(assistant)s", person=feedback.user_id.name, assistant=feedback.assistant_id.name
            )


class AiRun(models.Model):
    _inherit = "ai.run"

    own_rating = fields.Selection(RATINGS, compute="_compute_own_feedback", help="What you said of the reply.")
    own_comment = fields.Text(compute="_compute_own_feedback", help="Why you said so.")

    @api.depends_context("uid")
    def _compute_own_feedback(self):
        # sudo: ai.feedback - the reader's own
        feedback = self.env["ai.feedback"].sudo().search([("run_id", "in", self.ids), ("user_id", "=", self.env.uid)])
        by_run = feedback.grouped("run_id")
        for run in self:
            own = by_run.get(run._origin, feedback.browse())
            run.own_rating, run.own_comment = own.rating, own.comment

    def give_feedback(self, rating, comment=""):
        """Say of a reply that it is good (`up`) or bad (`down`), and why; False takes back what the caller has said."""
        self.ensure_one()
        self.check_access("read")
        if rating and rating not in dict(RATINGS):
            raise UserError(self.env._("A reply is rated up or down."))
        # sudo: ai.feedback, ai.run - the caller's own opinion, of a run that they can read
        feedback = self.env["ai.feedback"].sudo().search([("run_id", "=", self.id), ("user_id", "=", self.env.uid)])
        values = {"rating": rating, "comment": (comment or "").strip()[:COMMENT_LENGTH] or False}
        if not rating:
            feedback.unlink()
        elif feedback:
            feedback.write(values)
        else:
            feedback.create({"run_id": self.id, "user_id": self.env.uid, **values})
        self.invalidate_recordset(["own_rating", "own_comment"])
        Store(bus_channel=self.env.user).add(self.sudo(), ["own_comment", "own_rating"]).bus_send()
        return True

    def _to_store_defaults(self, target):
        own = [name for name in ("own_comment", "own_rating") if target.is_current_user(self.env)]
        return [*super()._to_store_defaults(target), *own]
