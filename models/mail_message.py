"""Messages as the engine's history knows them, and with the tool calls of the replies among them."""

from odoo import fields, models
from odoo.addons.mail.tools.discuss import Store
from odoo.tools import frozendict, html2plaintext, is_html_empty

from ..services.history import StoredMessage


class MailMessage(models.Model):
    _inherit = "mail.message"

    ai_run_ids = fields.One2many("ai.run", "message_id", "Runs", readonly=True, help="The run whose reply this is.")
    tool_call_ids = fields.One2many("ai.tool.call", "message_id", "Tool Calls", readonly=True)

    def unlink(self):
        self.check_access("unlink")
        # sudo: ir.attachment - what the tools of a reply returned is kept for it alone, and goes with it
        self.sudo().tool_call_ids.attachment_ids.unlink()
        return super().unlink()

    def _to_store_defaults(self, target):
        assistants = self.env["ai.assistant"]._ids_by_partner()

        def is_reply(message):
            return message.author_id.id in assistants

        # sudo: ai.run, ai.tool.call - whoever may read a reply may read how it came about
        return super()._to_store_defaults(target) + [
            Store.Many("ai_run_ids", predicate=is_reply, sudo=True),
            Store.Many("tool_call_ids", predicate=is_reply, sudo=True),
        ]

    def _get_store_partner_name_fields(self):
        """Wherever a reply is shown, the client has to know it for one: its Markdown has a look of its own."""
        return super()._get_store_partner_name_fields() + ["is_ai_assistant"]

    def _ai_stored(self, assistant, run, shown=(), files=frozendict()):
        """This message, the reply of `run` if of any, as `assistant` remembers it: what others said as text, with what
        is told of their `files`; its own replies with their tool calls and the images of those that are `shown`."""
        self.ensure_one()
        if self.author_id != assistant.partner_id:
            images = [files[file.id].image for file in self.attachment_ids if file.id in files]
            return StoredMessage(
                self._ai_author(), self._ai_text(run, files), is_assistant=False, images=tuple(filter(None, images))
            )
        turns, results = run._stored_turns(shown) if run else ((), {})
        text = (run.text or "") if run else self._ai_text(run)
        return StoredMessage("", text, is_assistant=True, turns=turns, results=results)

    def _ai_author(self):
        """The writer's name; nobody from outside passes for a colleague by taking the name of one."""
        self.ensure_one()
        if self.author_guest_id:
            return f"{self.author_guest_id.name} (guest)"
        author, assistants = self.author_id, self.env["ai.assistant"]._ids_by_partner()
        name = author.name or self.email_from or ""
        return f"{name} (external)" if author.partner_share and author.id not in assistants else name

    def _ai_is_deleted(self):
        """Whether there is nothing of it any more: deleting a message in Discuss only empties it."""
        self.ensure_one()
        return is_html_empty(self.body) and not self.attachment_ids

    def _ai_text(self, run, files=frozendict()):
        """What the message says, in plain text; its attachments with what is told of them in `files`, else by name. Of
        the reply of a `run`: what its assistant has said, without the note below it."""
        text = (run.text or "") if run else html2plaintext(self.body or "", include_references=False).strip()
        told = [
            files[file.id].text if file.id in files else f"[Attached file: {file.name}]"
            for file in self.attachment_ids
        ]
        return "\n".join(filter(None, [text, *told]))
