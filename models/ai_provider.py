"""A server that language models are asked on, in OpenAI's format.

Not a client: `services.llm` talks to it, from the `ModelSpec` that `_model_spec` makes.
"""

from odoo import api, fields, models
from odoo.exceptions import ValidationError

from ..services.specs import ModelSpec
from .ai_secret_mixin import hidden_column, write_only
from .common import BUTTON_TIMEOUT_SECONDS, ask_outside, forgetting, is_http_url, notification


class AiProvider(models.Model):
    _name = "ai.provider"
    _description = "AI Provider"
    _inherit = ["ai.guarded.mixin", "ai.secret.mixin"]
    _order = "name, id"
    _secret_fields = {"api_key": "stored_api_key"}
    _address_field = "base_url"

    name = fields.Char(required=True, help="How people who set up assistants recognise this provider.")
    active = fields.Boolean(default=True, help="Off: the provider is hidden from lists and choices.")
    base_url = fields.Char(
        "Base URL",
        required=True,
        help="Where the provider's OpenAI-compatible interface begins, usually ending in /v1. "
        "Changing it removes the stored key, so that it never reaches another server.",
    )
    api_key = write_only(
        fields.Char, "API Key",
        help="Sent with every request. Nobody can read it once it is stored. Leave it empty for servers without keys.",
    )
    stored_api_key = hidden_column()
    has_api_key = fields.Boolean(
        "A key is stored", compute="_compute_has_api_key", help="Whether there is a key; nobody can read it."
    )
    timeout = fields.Float(
        default=60.0,
        required=True,
        help="Seconds without a single byte from the provider before a request is given up.",
    )
    company_id = fields.Many2one("res.company", help="Empty: for all companies.")
    model_ids = fields.One2many(
        "ai.model", "provider_id", string="Models",
        help="What is known of the models that assistants ask here: how much they read, what they see and cost.",
    )
    assistant_ids = fields.One2many("ai.assistant", "provider_id", string="Assistants")
    assistant_count = fields.Integer(compute="_compute_assistant_count", help="How many assistants ask this provider.")
    model_names = fields.Text(
        "Available Models",
        readonly=True,
        copy=False,
        help="The models that the provider listed at the last successful connection test.",
    )

    _timeout_positive = models.Constraint("CHECK (timeout > 0)", "The timeout must be more than zero seconds.")

    @api.depends("stored_api_key")
    def _compute_has_api_key(self):
        for provider in self:
            provider.has_api_key = provider._has_secret("api_key")

    @api.depends("assistant_ids")
    def _compute_assistant_count(self):
        for provider in self:
            provider.assistant_count = len(provider.assistant_ids)

    @api.onchange("base_url")
    def _onchange_base_url(self):
        if self._origin.has_api_key and self.base_url != self._origin.base_url:
            return forgetting(
                self.env, self.env._("The stored key is for the old address. Enter the key of the new one.")
            )
        return None

    @api.constrains("name")
    def _check_name(self):
        for provider in self:
            if not provider.name.strip():
                raise ValidationError(self.env._("A provider needs a name."))

    @api.constrains("base_url")
    def _check_base_url(self):
        for provider in self:
            if not is_http_url(provider.base_url):
                raise ValidationError(
                    self.env._("The base URL must begin with http:// or https:// and name a server, without password.")
                )

    @api.constrains("base_url", "guarded")
    def _check_public_address(self):
        super()._check_public_address()

    def write(self, vals):
        if "base_url" in vals and not vals.get("api_key"):
            moved = self.filtered(lambda provider: provider.base_url != vals["base_url"])
            if moved:
                super(AiProvider, moved).write({"api_key": False, "model_names": False})
        return super().write(vals)

    def action_clear_api_key(self):
        """Remove the stored key."""
        self.write({"api_key": False})

    def action_test_connection(self):
        """Ask the provider for its models; the answer is shown, never raised as a traceback."""
        self.ensure_one()
        self.check_access("write")
        from ..services import llm
        from ..services.errors import RunError

        try:
            names = ask_outside(self.env, llm.list_models, self._model_spec(""))
        except TimeoutError:
            return self._report_problem(
                self.env._("The provider did not answer within %(seconds)s seconds.", seconds=BUTTON_TIMEOUT_SECONDS)
            )
        except RunError as error:
            return self._report_problem(error.message)
        self.model_names = "\n".join(names)
        return notification(self.env._("Connected. Models on offer: %(count)s.", count=len(names)))

    def action_view_assistants(self):
        """The assistants that ask this provider."""
        self.ensure_one()
        self.check_access("read")
        return {
            **self.env["ir.actions.act_window"]._for_xml_id("ai_discuss.ai_assistant_action"),
            "domain": [("provider_id", "=", self.id)],
            "context": {"default_provider_id": self.id},
        }

    def _report_problem(self, problem):
        return notification(problem, "danger", self.env._("%(provider)s cannot be used", provider=self.name))

    def _model_spec(self, model, temperature=None):
        """What the engine needs to ask `model` here, key included: for the engine only."""
        self.ensure_one()
        # sudo: ai.provider, ai.model - whoever may use the assistant may ask its provider; the spec never shows its key
        provider = self.sudo()
        known = provider.env["ai.model"]._find(provider, model)
        return ModelSpec(
            base_url=provider.base_url,
            model=model,
            api_key=provider.stored_api_key or "",
            temperature=temperature,
            timeout=provider.timeout,
            sees_images=known.sees_images,
            context_tokens=known.context_tokens,
            guarded=provider._is_guarded(),
        )
