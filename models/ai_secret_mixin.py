"""Secrets that people can write and nobody can read.

A model lists in `_secret_fields` which of its public fields are secrets and in which hidden column each is kept. The
public field always reads as empty, for everybody and on every path; the column is closed to every user, also to
administrators. Code that has to send a secret reads the column with sudo. Not encryption: the database has the text.
Nor do logs have it, unless somebody has every query logged.
"""

import logging
from collections.abc import Mapping

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.service.model import Params
from odoo.tools import mute_logger

from ..services.redaction import MARK
from .common import is_header_text


def write_only(field_class: type[fields.Field], string: str, **kwargs) -> fields.Field:
    """The public side of a secret: writable, always read as empty."""
    return field_class(string, compute="_compute_secrets", readonly=False, copy=False, **kwargs)


def hidden_column() -> fields.Text:
    """The column behind a secret."""
    return fields.Text(copy=False, prefetch=False, groups=fields.NO_ACCESS)


class AiSecretMixin(models.AbstractModel):
    _name = "ai.secret.mixin"
    _description = "Write-only secrets"

    _secret_fields: dict[str, str] = {}  # public field → hidden column

    def _compute_secrets(self):
        for field in self._secret_fields:
            self[field] = False

    @api.model_create_multi
    def create(self, vals_list):
        secrets = [self._take_secrets(vals) for vals in vals_list]
        # a copy each: the caller's dictionaries are not ours to empty
        records = super().create([self._without_secrets(vals) for vals in vals_list])
        for record, values in zip(records, secrets, strict=True):
            record._store_secrets(values)
        return records

    def write(self, vals):
        result = super().write(self._without_secrets(vals))  # checks the access, also when nothing else is written
        self._store_secrets(self._take_secrets(vals))
        return result

    def _store_secrets(self, values):
        if values:
            # sudo: ai.secret.mixin - whoever may write the record may replace its secrets, but not read them
            super(AiSecretMixin, self.sudo()).write(values)
            with mute_logger("odoo.sql_db"):  # a query that fails is logged with all that it was to store
                self.flush_recordset()

    def _has_secret(self, field):
        """Whether a secret is stored: all that people may know of it."""
        self.ensure_one()
        # sudo: ai.secret.mixin - only whether there is one leaves this method
        return bool(self.sudo()[self._secret_fields[field]])

    def _take_secrets(self, vals):
        return {
            column: self._normalise_secret(field, vals[field])
            for field, column in self._secret_fields.items()
            if field in vals
        }

    def _without_secrets(self, vals):
        return {field: value for field, value in vals.items() if field not in self._secret_fields}

    @api.model
    def _normalise_secret(self, field, value):
        """The text to store; raises ValidationError where no header could carry it, without quoting it."""
        value = (value or "").strip()
        if not is_header_text(value):
            raise ValidationError(self.env._("The secret contains characters that cannot be sent."))
        return value or False


class _SecretsOfCalls(logging.Filter):
    """Keeps secrets that people enter out of the log of calls, which Odoo writes at debug level."""

    def filter(self, record):
        match record.args:
            case (models.BaseModel() as records, method, Params() as params):
                # of all models: a secret may come nested in what is written to another record
                every_model = records.env.registry.values()
                names = {name for model in every_model for name in getattr(model, "_secret_fields", ())}
                record.args = records, method, Params(_masked(params.args, names), _masked(params.kwargs, names))
        return True


def _masked(value, names):
    """`value`, with a mark in place of what it has under one of `names`."""
    if isinstance(value, Mapping):
        return {key: MARK if key in names and item else _masked(item, names) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_masked(item, names) for item in value]
    return value


logging.getLogger("odoo.service.model").addFilter(_SecretsOfCalls())
