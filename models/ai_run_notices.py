"""What people should know of a reply beside what it says: kept with its run, for whoever reads it later.

While the reply is made, its stream tells them.
"""

from odoo import fields, models
from odoo.addons.mail.tools.discuss import Store

from ..services.events import Notice


class AiRun(models.Model):
    _inherit = "ai.run"

    notices = fields.Json(
        readonly=True, help="What people were told beside the reply: a server that could not be used, a limit reached."
    )

    def _end(self, state):
        self.notices = self.env["ai.run.event"]._told_notices(self) or False
        super()._end(state)

    def _told_events(self):
        # when they were told is not stored; most of them are about what the reply begins with
        yield from (Notice(notice["code"], notice["message"]) for notice in self.notices or ())
        yield from super()._told_events()

    def _store_fields(self, asker_fields=()):
        # those of a reply that is being made are not stored yet, and clients know them from its stream
        return [*super()._store_fields(asker_fields), Store.Attr("notices", predicate=lambda run: bool(run.notices))]


class AiRunEvent(models.Model):
    _inherit = "ai.run.event"

    def _told_notices(self, run):
        """The notices that viewers of `run` were told, each with its code and its message."""
        self.env.cr.execute(
            """
            SELECT payload->>'code', payload->>'message' FROM ai_run_event
             WHERE run_id = %s AND payload->>'type' = 'notice' ORDER BY seq
            """,
            [run.id],
        )
        return [{"code": code, "message": message} for code, message in self.env.cr.fetchall()]
