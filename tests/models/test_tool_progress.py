"""What a running call shows of its tool's progress, and to whom it is told."""

import json
import math

from odoo.addons.mail.tools.discuss import Store

from ...services.events import Progress
from ...services.messages import ToolResult
from ...services.states import ToolCallState
from .common import RunCase


class TestToolProgress(RunCase):
    def setUp(self):
        super().setUp()
        self.invoked = self.call(self.running())
        self.invoked.write({"state": "invoking"})

    def progress(self):
        return self.invoked.progress, self.invoked.progress_total, self.invoked.progress_message

    def told(self):
        """What the channel's open tabs have been told of the call, oldest first."""
        self.env.cr.precommit.run()
        notices = self.env["bus.bus"].search([("message", "like", '"progress_message"')], order="id")
        return [json.loads(notice.message)["payload"]["ai.tool.call"] for notice in notices]

    def test_q35_the_newest_is_kept_and_told_and_nothing_beside_it(self):
        self.invoked._note_progress(Progress("call1", 1, 4, "page 1"))
        self.invoked._note_progress(Progress("call1", 2, 4, "page 2"))
        self.assertEqual(self.progress(), (2, 4, "page 2"))
        self.assertEqual(self.told()[-1], [
            {"id": self.invoked.id, "progress": 2, "progress_message": "page 2", "progress_total": 4},
        ])

    def test_q35_whoever_opens_the_conversation_meanwhile_sees_it(self):
        self.invoked._note_progress(Progress("call1", 1))
        (shown,) = Store().add(self.invoked).get_result()["ai.tool.call"]
        self.assertEqual((shown["state"], shown["progress"]), ("invoking", 1))

    def test_q35_whatever_a_tool_reports_can_be_stored(self):
        self.invoked._note_progress(Progress("call1", math.inf, math.nan, "page\0"))
        self.assertEqual(self.progress(), (0, 0, "page�"))

    def test_q35_progress_that_comes_after_the_end_is_nothing(self):
        self.invoked._end(ToolResult("call1", "found", ToolCallState.DONE))
        self.invoked._note_progress(Progress("call1", 1, 4, "page 1"))
        self.assertEqual(self.progress(), (0, 0, False))
