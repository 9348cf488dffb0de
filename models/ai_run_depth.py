"""How deep runs are in each other: a tool may write in the name of who asked, and so ask again, and again.

Nobody can tell such a message from one that the person has written, except that it comes while the tool is at work. A
person seldom asks then, and hardly ever once more during the tools of that answer. A host ends what is too deep.
"""

from odoo import fields, models
from odoo.tools import SQL


class AiRun(models.Model):
    _inherit = "ai.run"

    depth = fields.Integer(
        readonly=True,
        help="0: nothing was under way when it was asked. 1: it was asked while an assistant used a tool for the same "
        "person; 2: while the assistant did so for a question of that kind; and so on.",
    )

    def _request_values(self, channel, assistant, message):
        return {**super()._request_values(channel, assistant, message), "depth": self._depth_now()}

    def _depth_now(self):
        """How deep a question is that the caller asks at this moment."""
        [(deepest,)] = self.env.execute_query(SQL(
            """
            SELECT max(run.depth) FROM ai_run run JOIN ai_tool_call call ON call.run_id = run.id
             WHERE run.user_id = %s AND run.state = 'running' AND call.state = 'invoking'
            """,
            self.env.uid,
        ))
        return 0 if deepest is None else deepest + 1
