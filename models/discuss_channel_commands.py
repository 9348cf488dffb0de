"""What people can type after a slash where there is an assistant. Discuss calls these methods by name, with the text in
which the command was given; what they answer is for the caller alone, and is not kept.
"""

from textwrap import shorten

from markupsafe import Markup
from odoo import models
from odoo.tools import format_list

DESCRIPTION_LENGTH = 120  # characters of what a server says of its tool: a list is to be skimmed


class DiscussChannel(models.Model):
    _inherit = "discuss.channel"

    def execute_command_ai_stop(self, **kwargs):
        """Stop the replies that are being made here for the caller; a manager of assistants stops everybody's."""
        self.ensure_one()
        self.check_access("read")
        # sudo: ai.assistant - the names of those that answer in a conversation are no secret in it
        names = self.env["ai.run"]._stop_in(self).sudo().assistant_id.mapped("name")
        if names:
            text = self.env._("Stopped: %(assistants)s.", assistants=format_list(self.env, names))
        else:
            text = self.env._("There is nothing to stop: no assistant is answering you here.")
        self.env.user._bus_send_transient_message(self, text)

    def execute_command_ai_tools(self, **kwargs):
        """List the tools that the assistant of this conversation can use for the caller."""
        self.ensure_one()
        self.check_access("read")
        self.env.user._bus_send_transient_message(self, self._ai_tools_text())

    def _execute_command_help_message_extra(self):
        return super()._execute_command_help_message_extra() + self._ai_help_text()

    def _ai_help_text(self):
        """Who this conversation's assistant is, when it answers, and what can be typed to it; empty without one."""
        # sudo: discuss.channel - the caller sees the assistant among the members
        assistant = self.sudo().ai_assistant_id
        if not assistant or not self.env.user._is_internal():
            return ""
        when = {
            "always": self.env._("It answers every message here."),
            "mention": self.env._("It answers when it is mentioned: @%(assistant)s.", assistant=assistant.name),
            "off": self.env._("It does not answer here: its replies are switched off."),
        }
        lines = [
            Markup("<b>%s</b>") % assistant.name,
            *(assistant.description or "").splitlines(),
            when[self.ai_reply_mode],
            Markup("<b>/new</b> ") + self.env._("starts a fresh conversation with it"),
            Markup("<b>/tools</b> ") + self.env._("lists the tools that it can use for you"),
            Markup("<b>/stop</b> ") + self.env._("ends its reply; what was said so far stays"),
        ]
        return Markup("<br><br>") + Markup("<br>").join(lines)

    def _ai_tools_text(self):
        # sudo: ai.assistant - whether the caller may use it is looked at before its tools are
        assistant = self.sudo().ai_assistant_id
        if not assistant:
            return self.env._("This conversation has no assistant.")
        if not assistant._is_usable(self.env.user):
            return self.env._("You may not use this assistant. Ask its manager for access.")
        tools = assistant.sudo(False)._run_tools(self, self.env.user)
        if not tools:
            return self.env._("%(name)s has no tools here: it answers from what it knows.", name=assistant.name)
        title = self.env._("What %(assistant)s can use for you here:", assistant=assistant.name)
        return Markup().join([title, *(
            Markup("<p class='mt-2 mb-1'><b>%s</b></p><ul class='mb-0'>%s</ul>")
            % (server.name, Markup().join(self._ai_tool_line(tool, assistant) for tool in tools_of_server))
            for server, tools_of_server in tools.sorted("display_name").grouped("server_id").items()
        )])

    def _ai_tool_line(self, tool, assistant):
        line = Markup("<b>%s</b>") % tool.display_name
        if tool.description:
            line += " – " + shorten(tool.description, DESCRIPTION_LENGTH, placeholder="…")
        if tool._policy(assistant) == "ask":
            line += Markup(" <span class='text-muted'>(%s)</span>") % self.env._("asks first")
        return Markup("<li>%s</li>") % line
