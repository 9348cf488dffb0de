"""An assistant: a model, a prompt and tools under one name, with a partner whom people find in Discuss.

Not the one who answers: a reply is an `ai.run`, executed by the engine.
"""

from typing import NamedTuple

from odoo import api, fields, models, tools
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Domain
from odoo.tools import frozendict

from .mcp_tool import RULES

MAX_ROUNDS = 50
MAX_RUN_SECONDS = 24 * 3600
MANAGERS = "ai_discuss.group_ai_manager"
CACHED_FIELDS = frozenset({"active", "company_id", "group_ids", "partner_id"})


class Access(NamedTuple):
    """To whom an assistant is open."""

    company_id: int | bool  # False: of all companies
    group_ids: frozenset[int]  # empty: to everybody who works here


class AiAssistant(models.Model):
    _name = "ai.assistant"
    _description = "AI Assistant"
    _inherit = ["image.mixin"]
    _order = "sequence, name, id"
    _check_company_auto = True

    name = fields.Char(required=True, help="How people call the assistant, in Discuss and in mentions.")
    active = fields.Boolean(default=True, help="Off: nobody finds the assistant, and it answers no more.")
    sequence = fields.Integer(default=10, help="The order in which assistants are listed.")
    description = fields.Text(
        translate=True, help="A sentence or two that tell people what to ask this assistant for."
    )
    prompts = fields.Text(
        "Suggested Prompts", translate=True,
        help="What people can choose from when they begin a conversation, one on each line. A line that ends with … is "
        "put into the composer, to be completed; any other is sent as it is.",
    )
    partner_id = fields.Many2one(
        "res.partner", readonly=True, copy=False, ondelete="restrict", index=True,
        help="Who the assistant is in Discuss: the author of its messages.",
    )
    avatar_128 = fields.Image("Avatar", related="partner_id.avatar_128")
    avatar_1920 = fields.Image(
        "Picture", compute="_compute_avatar_1920", inverse="_inverse_avatar_1920",
        help="How the assistant looks in Discuss.",
    )
    company_id = fields.Many2one("res.company", help="Empty: for all companies.")
    group_ids = fields.Many2many(
        "res.groups", "ai_assistant_group_rel", "assistant_id", "group_id", "Allowed Groups",
        help="Who may use the assistant. Empty: everybody who works here.",
    )
    # how it answers
    provider_id = fields.Many2one(
        "ai.provider", groups=MANAGERS, ondelete="restrict", check_company=True, index=True,
        help="The server on which the language model is asked.",
    )
    model = fields.Char(groups=MANAGERS, help="The model's name as the provider knows it, for example gpt-5-mini.")
    system_prompt = fields.Text(
        groups=MANAGERS, help="What the assistant is told before every conversation: its task, its tone, its limits."
    )
    known_model_id = fields.Many2one(
        "ai.model", compute="_compute_known_model", groups=MANAGERS,
        help="What people have said of the chosen model, among its provider's models.",
    )
    model_summary = fields.Char(
        compute="_compute_known_model", groups=MANAGERS, help="What the chosen model reads, sees and costs."
    )
    provider_model_names = fields.Text("Known Models", related="provider_id.model_names", groups=MANAGERS)
    set_temperature = fields.Boolean("Own temperature", groups=MANAGERS, help="Off: the provider's own default.")
    temperature = fields.Float(
        groups=MANAGERS, help="0 is the most predictable; higher is more varied. Some models accept only their default."
    )
    max_rounds = fields.Integer(
        default=10,
        required=True,
        help="How often the assistant may call tools and think again before it has to answer.",
    )
    run_timeout = fields.Integer(
        "Time Limit", default=600, required=True,
        help="Seconds after which a reply that is not complete is ended. Waiting for an approval does not count.",
    )
    # what it can use
    mcp_server_ids = fields.Many2many(
        "mcp.server", "ai_assistant_mcp_server_rel", "assistant_id", "server_id", "MCP Servers",
        domain="[('scope', '=', 'shared')]", check_company=True,
        help="The servers whose tools this assistant can use.",
    )
    disabled_tool_ids = fields.Many2many(
        "mcp.tool", "ai_assistant_disabled_tool_rel", "assistant_id", "tool_id", "Disabled Tools",
        help="Tools of these servers that this assistant does without.",
    )
    approval = fields.Selection(
        RULES, "Rule for All Tools",
        required=True,
        default="tool",
        help="Makes every tool at least so strict when this assistant calls it; a tool that is stricter stays so.",
    )
    tool_ids = fields.Many2many(
        "mcp.tool", compute="_compute_tool_ids", string="Tools", help="What the servers of this assistant offer."
    )
    asking_tool_ids = fields.Many2many(
        "mcp.tool", compute="_compute_asking_tool_ids", string="Tools That Ask First",
        help="The tools whose calls wait for a person when this assistant makes them.",
    )
    tool_count = fields.Integer(compute="_compute_tool_count", help="How many tools the assistant can call now.")
    run_count = fields.Integer(
        compute="_compute_run_count", groups=MANAGERS, help="How often the assistant was asked."
    )

    _max_rounds_in_range = models.Constraint(
        f"CHECK (max_rounds BETWEEN 1 AND {MAX_ROUNDS})", "The rounds must be between 1 and 50."
    )
    _run_timeout_in_range = models.Constraint(
        f"CHECK (run_timeout BETWEEN 1 AND {MAX_RUN_SECONDS})", "The time limit must be between a second and a day."
    )
    _partner_unique = models.UniqueIndex("(partner_id)", "A partner can be one assistant only.")

    @api.depends("partner_id.avatar_1920")
    def _compute_avatar_1920(self):
        for assistant in self:
            # sudo: res.partner - the face of an assistant that the user may see
            assistant.avatar_1920 = assistant.sudo().partner_id.avatar_1920

    def _inverse_avatar_1920(self):
        for assistant in self:
            assistant.image_1920 = assistant.avatar_1920

    @api.depends("provider_id", "model")
    def _compute_known_model(self):
        for assistant in self:
            assistant.known_model_id = self.env["ai.model"]._find(assistant.provider_id, assistant.model)
            assistant.model_summary = assistant.known_model_id.summary

    @api.depends("mcp_server_ids.tool_ids.active")
    def _compute_tool_ids(self):
        for assistant in self:
            assistant.tool_ids = assistant.mcp_server_ids.tool_ids.sorted(
                lambda tool: (tool.server_id.name, tool.server_id.id, tool.name)
            )

    @api.depends("mcp_server_ids.tool_ids.policy", "approval")
    def _compute_asking_tool_ids(self):
        for assistant in self:
            asking = [tool.id for tool in assistant.tool_ids if tool._policy(assistant) == "ask"]
            assistant.asking_tool_ids = self.env["mcp.tool"].browse(asking)

    @api.depends("mcp_server_ids.tool_ids", "disabled_tool_ids")
    def _compute_tool_count(self):
        for assistant in self:
            assistant.tool_count = len(assistant.get_enabled_mcp_tools())

    def _compute_run_count(self):
        counts = dict(self.env["ai.run"]._read_group([("assistant_id", "in", self.ids)], ["assistant_id"], ["__count"]))
        for assistant in self:
            assistant.run_count = counts.get(assistant, 0)

    @api.constrains("name")
    def _check_name(self):
        for assistant in self:
            if not assistant.name.strip():
                raise ValidationError(self.env._("An assistant needs a name."))

    @api.constrains("partner_id")
    def _check_partner_is_nobody(self):
        """No person is spoken for."""
        for assistant in self:
            # sudo: res.partner - only whether somebody logs in as this partner is looked at
            if assistant.partner_id.sudo().with_context(active_test=False).user_ids:
                raise ValidationError(self.env._("The contact of an assistant cannot be that of a user."))

    @api.constrains("temperature")
    def _check_temperature(self):
        for assistant in self:
            if not 0 <= assistant.temperature <= 2:
                raise ValidationError(self.env._("The temperature must be between 0 and 2."))

    @api.constrains("mcp_server_ids")
    def _check_servers_are_shared(self):
        if self.mcp_server_ids.filtered(lambda server: server.scope != "shared"):
            raise ValidationError(self.env._("Only shared servers can be given to assistants."))

    @api.model_create_multi
    def create(self, vals_list):
        self._check_given_partners(vals_list)
        assistants = super().create([self._with_set_temperature(vals) for vals in vals_list])
        for assistant in assistants.filtered(lambda assistant: not assistant.partner_id):
            # sudo: res.partner - managers of assistants need no rights on contacts
            assistant.sudo().partner_id = self.env["res.partner"].sudo().create(assistant._partner_values())
        self._forget_partners()
        return assistants

    def write(self, vals):
        self._check_given_partners([vals])
        result = super().write(self._with_set_temperature(vals))
        if not {"name", "image_1920", "active"}.isdisjoint(vals):
            for assistant in self:
                # sudo: res.partner - the partner follows its assistant
                assistant.sudo().partner_id.write(assistant._partner_values())
        if not CACHED_FIELDS.isdisjoint(vals):
            self._forget_partners()
        return result

    def unlink(self):
        # sudo: res.partner - kept as the author of what the assistant said, but nobody finds it any more
        partners = self.sudo().partner_id
        result = super().unlink()
        self._forget_partners()
        partners.active = False
        return result

    @api.ondelete(at_uninstall=False)
    def _unlink_except_with_runs(self):
        # sudo: ai.run - only whose there are
        groups = self.env["ai.run"].sudo()._read_group([("assistant_id", "in", self.ids)], ["assistant_id"])
        if groups:
            raise UserError(self.env._(
                "The record of what was asked and answered would be deleted with its assistant (%(assistants)s). "
                "Archive the assistant instead: nobody finds it any more, and its runs stay.",
                assistants=", ".join(assistant.name for (assistant,) in groups),
            ))

    def get_enabled_mcp_tools(self):
        """The tools that this assistant's runs may use, attached personal servers aside."""
        self.ensure_one()
        servers = self.mcp_server_ids.filtered(lambda server: server._is_callable())
        return servers.tool_ids._usable(self) - self.disabled_tool_ids

    def open_chat(self, new=False):
        """The id of the caller's conversation with this assistant; with `new`, always of a fresh one."""
        self.ensure_one()
        self._check_usable(self.env.user)
        # sudo: ai.assistant - partner of an assistant that the user may use
        partner = self.sudo().partner_id
        if not new:
            return self.env["discuss.channel"]._get_or_create_chat([partner.id]).id
        return self.env["discuss.channel"]._ai_create_conversation(self).id

    def action_open_chat(self):
        """Open Discuss on the caller's conversation with this assistant."""
        return {
            "type": "ir.actions.client",
            "tag": "mail.action_discuss",
            "context": {"active_id": f"discuss.channel_{self.open_chat()}"},
        }

    def action_describe_model(self):
        """Say what is known of this assistant's model: how much it reads, what it sees and costs."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Model"),
            "res_model": "ai.model",
            "res_id": self.known_model_id.id,
            "views": [(False, "form")],
            "target": "new",
            "context": {"default_provider_id": self.provider_id.id, "default_name": self.model},
        }

    def action_view_tools(self):
        """The tools of this assistant's servers, by server."""
        self.ensure_one()
        return {
            **self.env["ir.actions.act_window"]._for_xml_id("ai_discuss.mcp_tool_action"),
            "domain": [("server_id", "in", self.mcp_server_ids.ids)],
            "context": {"search_default_group_by_server": 1},
        }

    def action_view_runs(self):
        """What this assistant was asked."""
        self.ensure_one()
        self.check_access("read")
        return {
            **self.env["ir.actions.act_window"]._for_xml_id("ai_discuss.ai_run_action"),
            "domain": [("assistant_id", "=", self.id)],
            "context": {},
        }

    # -- who may use it

    def _is_usable(self, user):
        """Whether `user` may talk to this assistant."""
        self.ensure_one()
        # sudo: res.users - only the answer leaves this method
        access, user = self._access_by_id().get(self.id), user.sudo()
        return bool(
            access
            and user.active
            and user._is_internal()
            and (not access.company_id or access.company_id in user.company_ids.ids)
            and (not access.group_ids or not access.group_ids.isdisjoint(user.all_group_ids.ids))
        )

    @api.model
    @tools.ormcache()
    def _access_by_id(self):
        """To whom each assistant is open that answers at all. Cached: each message to one asks."""
        # sudo: ai.assistant - for `_is_usable`, of which only the answer leaves
        return frozendict({
            assistant.id: Access(assistant.company_id.id, frozenset(assistant.group_ids.ids))
            for assistant in self.sudo().with_context(active_test=True).search([])
        })

    def _check_usable(self, user):
        """Raise AccessError unless `user` may talk to this assistant."""
        if not self._is_usable(user):
            raise AccessError(self.env._("You may not use this assistant. Ask its manager for access."))

    def _run_tools(self, channel, user):
        """The tools of a run: what is on offer to `user` in the channel, and not switched off there."""
        self.ensure_one()
        self._check_usable(user)
        tools = self._offered_tools(channel, user)
        return tools - tools._off_in(channel)

    def _offered_tools(self, channel, user):
        """The assistant's tools, and those of the personal servers that serve `user` in the channel; with sudo."""
        # sudo: ai.assistant, mcp.server - `user` may use the assistant, and the channel says which servers serve them
        attached = channel._ai_servers_for(user).filtered(lambda server: server._is_callable())
        return self.sudo().get_enabled_mcp_tools() | attached.tool_ids._usable(self)

    # -- its partner

    @api.model
    @tools.ormcache()
    def _ids_by_partner(self):
        """Every assistant's id by its partner's, archived ones included. Cached: each message that is posted asks."""
        # sudo: ai.assistant - which partners are assistants is no secret
        assistants = self.sudo().with_context(active_test=False).search_fetch([], ["partner_id"], order="id")
        return frozendict({assistant.partner_id.id: assistant.id for assistant in assistants})

    def _forget_partners(self):
        """Forget them at once, and again when this is committed: others may have looked meanwhile, and seen nothing."""
        self.env.registry.clear_cache()
        self.env.cr.postcommit.add(self.env.registry.clear_cache)

    @api.model
    def _of_partners(self, partners):
        """The assistants among `partners`."""
        by_partner = self._ids_by_partner()
        return self.browse(by_partner[partner_id] for partner_id in partners.ids if partner_id in by_partner)

    @api.model
    def _usable_by(self, user, domain=Domain.TRUE):
        """The assistants that `user` may use, with sudo."""
        # sudo: ai.assistant - filtered by what the user may use
        return self.sudo().search(domain).filtered(lambda assistant: assistant._is_usable(user))

    def _suggested_prompts(self):
        """What people can begin a conversation with, in the order of the form."""
        self.ensure_one()
        return [line.strip() for line in (self.prompts or "").splitlines() if line.strip()]

    def _partner_values(self):
        self.ensure_one()
        return {"name": self.name, "image_1920": self.image_1920, "active": self.active}

    @api.model
    def _check_given_partners(self, vals_list):
        """A contact takes its assistant's name and picture: whoever gives it to one may change it."""
        given = [vals["partner_id"] for vals in vals_list if vals.get("partner_id")]
        if given:
            self.env["res.partner"].browse(given).check_access("write")

    @api.model
    def _with_set_temperature(self, vals):
        """Whoever gives a temperature means it to be used."""
        if "temperature" in vals and "set_temperature" not in vals:
            return {**vals, "set_temperature": True}
        return vals
