"""What tools return: kept as attachments that are open to exactly those who may see the call, then the reply."""

import base64

from odoo.addons.mail.tools.discuss import Store
from odoo.exceptions import AccessError, ValidationError
from odoo.tests import Form, new_test_user

from ...services.messages import ToolPart, ToolResult
from ...services.specs import Limits
from ...services.states import RunState, ToolCallState
from .common import RunCase

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="


def encoded(text):
    return base64.b64encode(text.encode()).decode()


IMAGE = ToolPart("image", "image/png", PIXEL, name="chart")
NOTES = ToolPart("file", "text/plain", encoded("all of it"))
LINK = ToolPart("link", "text/html", uri="https://example.com/manual", name="manual")
DATA = ToolPart("structured", "application/json", '{"degrees": 21}')


class TestToolResults(RunCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.paula = new_test_user(cls.env, "paula-run", "base.group_portal")

    def ended(self, *parts, run=None, state=ToolCallState.DONE):
        call = self.call(run or self.running())
        call.write({"state": "invoking"})
        call._end(ToolResult("call1", "Done.", state, parts=parts))
        return call

    def may_read(self, user, attachments):
        return attachments.with_user(user).has_access("read")

    def test_q37_files_become_attachments_and_the_row_keeps_no_bytes(self):
        call = self.ended(IMAGE, NOTES, LINK, DATA)
        chart, notes = call.attachment_ids.sorted("id")
        self.assertEqual((chart.name, chart.mimetype, chart.datas.decode()), ("chart.png", "image/png", PIXEL))
        self.assertEqual((notes.name, notes.mimetype, notes.raw), ("look_up.txt", "text/plain", b"all of it"))
        self.assertEqual(call.parts, [
            {"kind": "image", "name": "chart.png", "mime_type": "image/png", "uri": "", "attachment_id": chart.id},
            {"kind": "file", "name": "look_up.txt", "mime_type": "text/plain", "uri": "", "attachment_id": notes.id},
            {"kind": "link", "name": "manual", "mime_type": "text/html", "uri": LINK.uri, "text": ""},
            {"kind": "structured", "name": "", "mime_type": "application/json", "uri": "", "text": DATA.data},
        ])

    def test_q37_nothing_that_a_browser_could_execute_is_served_as_such(self):
        evil = "<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"
        call = self.ended(
            ToolPart("file", "image/svg+xml", encoded(evil), name="logo.svg"),
            ToolPart("file", "text/html", encoded("<!DOCTYPE html><script>alert(1)</script>"), name="a.html"),
            ToolPart("file", "", base64.b64encode(evil.encode() + b"\xff").decode()),  # no text to us, but to browsers
            ToolPart("file", "text/html", base64.b64encode("<!DOCTYPE html><script>".encode("utf-16")).decode()),
        )
        self.assertEqual(len(call.attachment_ids), 4)
        for attachment in call.attachment_ids:
            self.assertIn(attachment.mimetype, ("text/plain", "application/octet-stream"))

    def test_an_image_is_kept_as_it_is_because_opening_it_may_take_all_memory(self):
        bomb = base64.b64decode(PIXEL)[:16] + b"\xff\xff\xff\xff" * 2 + base64.b64decode(PIXEL)[24:]
        call = self.ended(ToolPart("image", "image/png", base64.b64encode(bomb).decode()))
        self.assertEqual(call.attachment_ids.raw, bomb)

    def test_what_postgresql_cannot_store_is_no_obstacle(self):
        call = self.ended(ToolPart("link", uri="https://example.com", name="a\0b"), ToolPart("structured", data="\0"))
        self.env.flush_all()
        self.assertEqual(len(call.parts), 2)

    def test_a_second_result_leaves_nothing_behind(self):
        call = self.ended(IMAGE)
        call._end(ToolResult("call1", "Again.", ToolCallState.DONE, parts=(NOTES,)))
        self.assertEqual(call.attachment_ids.mapped("name"), ["chart.png"])

    def test_before_the_reply_whoever_may_see_the_call_may_see_its_files(self):
        files = self.ended(IMAGE).attachment_ids
        self.assertTrue(self.may_read(self.ann, files))
        self.assertTrue(self.may_read(self.boss, files))
        for stranger in (self.bob, self.paula, self.env.ref("base.public_user")):
            self.assertFalse(self.may_read(stranger, files), stranger.name)
        with self.assertRaises(AccessError):
            files.with_user(self.ann).unlink()

    def test_q37_with_the_reply_they_are_attached_to_it_for_whoever_may_read_it(self):
        run = self.running()
        files = self.ended(IMAGE, NOTES, run=run).attachment_ids
        self.channel._add_members(users=self.paula)
        run._finish(RunState.DONE, "Here it is.")
        self.assertEqual(run.message_id.attachment_ids, files)
        self.assertTrue(self.may_read(self.ann, files))
        shown = Store().add(run.message_id.with_user(self.paula)).get_result()["ir.attachment"]
        self.assertEqual({file["id"] for file in shown if file["raw_access_token"]}, set(files.ids))
        for stranger in (self.bob, self.boss, self.env.ref("base.public_user")):
            self.assertFalse(run.message_id.with_user(stranger).has_access("read"))
            self.assertFalse(self.may_read(stranger, files), stranger.name)

    def test_a_manager_may_look_at_a_call_whose_files_are_not_for_them(self):
        run = self.running()
        call = self.ended(IMAGE, run=run)
        run._finish(RunState.DONE, "Here it is.")
        self.env.invalidate_all()
        data = call.with_user(self.boss).web_read({"attachment_ids": {"fields": {"name": {}}}, "tool_name": {}})
        self.assertEqual(data[0]["attachment_ids"], [])

    def test_open_tabs_get_the_files_with_the_call(self):
        call = self.ended(IMAGE, LINK)
        data = Store().add(call).get_result()
        self.assertEqual([file["name"] for file in data["ir.attachment"]], ["chart.png"])
        self.assertTrue(data["ir.attachment"][0]["raw_access_token"])
        (stored,) = data["ai.tool.call"]
        self.assertEqual(stored["attachment_ids"], call.attachment_ids.ids)
        self.assertEqual([part["kind"] for part in stored["parts"]], ["image", "link"])

    def test_a_message_that_is_deleted_takes_them_along(self):
        run = self.running()
        files = self.ended(IMAGE, run=run).attachment_ids
        run._finish(RunState.DONE, "Here it is.")
        run.message_id.unlink()
        self.assertFalse(files.exists())

    def test_a_conversation_that_is_deleted_takes_them_along_posted_or_not(self):
        first = self.running()
        posted = self.ended(IMAGE, run=first).attachment_ids
        first._finish(RunState.DONE, "Here it is.")
        unposted = self.ended(NOTES).attachment_ids
        self.channel.unlink()
        self.assertFalse((posted | unposted).exists())

    def test_what_the_database_deleted_by_itself_leaves_no_files_for_long(self):
        files = self.ended(IMAGE).attachment_ids
        kept = self.ended(NOTES).attachment_ids
        self.env.flush_all()
        self.env.cr.execute("DELETE FROM ai_run USING ai_tool_call c WHERE c.run_id = ai_run.id AND c.id = %s", [
            files.res_id
        ])
        self.env.invalidate_all()
        self.env["ai.tool.call"]._gc_files()
        self.assertEqual((files | kept).exists(), kept)

    def test_the_model_gets_images_back_only_where_they_are_wanted(self):
        call = self.ended(NOTES, IMAGE, LINK)
        self.assertEqual(call._result().parts, ())
        seen = ToolPart("image", "image/png", PIXEL, name="chart.png")
        self.assertEqual(call._result(with_images=True).parts, (seen,))
        call.attachment_ids.unlink()
        self.assertEqual(call._result(with_images=True).parts, ())

    def test_a_stateless_run_keeps_them_with_its_calls(self):
        run = self.env["ai.run"].create({
            "assistant_id": self.assistant.id, "user_id": self.ann.id, "company_id": self.env.company.id,
            "state": "running", "attempt": 1,
        })
        files = self.ended(IMAGE, run=run).attachment_ids
        self.assertTrue(self.may_read(self.ann, files))
        self.assertFalse(self.may_read(self.bob, files))


class TestLimits(RunCase):
    def limits(self):
        return self.env["res.config.settings"]._ai_limits()

    def test_without_settings_the_limits_are_the_engines(self):
        self.assertEqual(self.limits(), Limits())

    def test_settings_are_the_limits_of_the_next_run(self):
        from ...runtime import inputs

        with Form(self.env["res.config.settings"]) as form:
            self.assertEqual((form.ai_result_chars, form.ai_part_megabytes), (30_000, 6))
            form.ai_result_chars = 5_000
            form.ai_kept_chars = 50_000
            form.ai_part_megabytes = 1.5
        form.record.execute()
        chosen = Limits(5_000, 50_000, 1_572_864)
        self.assertEqual(self.limits(), chosen)
        self.assertEqual(inputs.load(self.running()).limits, chosen)

    def test_a_limit_that_makes_no_sense_is_refused_by_its_name(self):
        for values, name in (
            ({"ai_result_chars": 0}, "Results for the Model"),
            ({"ai_kept_chars": 2**30}, "Results for People"),
            ({"ai_part_megabytes": 13}, "Files"),
        ):
            with self.assertRaisesRegex(ValidationError, f"“{name}” must be between"), self.cr.savepoint():
                self.env["res.config.settings"].create(values)

    def test_a_parameter_that_was_written_by_hand_cannot_do_harm(self):
        for written, used in (("many", 30_000), ("-1", 1_000), ("9999999999", 1_000_000), ("2000", 2_000)):
            self.env["ir.config_parameter"].set_param("ai_discuss.result_chars", written)
            self.assertEqual(self.limits().result_chars, used)
