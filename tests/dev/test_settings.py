"""The environment variables of the contract's commands."""

import pytest

from dev import settings
from dev.output import Failed


def test_without_variables_the_contracts_defaults_hold():
    chosen = settings.read({})
    assert (chosen.http_port, chosen.gevent_port, chosen.db_name, chosen.workers) == (8069, 8072, "demo", 0)
    assert chosen.state == settings.ROOT / ".dev"
    assert (chosen.odoo_dir, chosen.database_url, chosen.model) == (None, None, None)


def test_an_empty_variable_counts_as_not_set():
    assert settings.read({"HTTP_PORT": "", "DB_NAME": "", "ODOO_DIR": "", "OPENAI_BASE_URL": ""}) == settings.read({})


def test_a_relative_folder_starts_at_the_repository_wherever_make_was_called():
    assert settings.read({"STATE_DIR": "other"}).state == settings.ROOT / "other"
    assert settings.read({"ODOO_DIR": "/src/odoo"}).odoo_dir.parts[1:] == ("src", "odoo")


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"HTTP_PORT": "eighty"}, "HTTP_PORT"),
        ({"HTTP_PORT": "0"}, "HTTP_PORT"),
        ({"GEVENT_PORT": "65536"}, "GEVENT_PORT"),
        ({"WORKERS": "-1"}, "WORKERS"),
        ({"HTTP_PORT": "8072"}, "different"),
        ({"DB_NAME": "a database"}, "DB_NAME"),
        ({"DB_NAME": "ai_discuss_template"}, "DB_NAME"),
        ({"DB_NAME": "postgres"}, "DB_NAME"),
        ({"STATE_DIR": "one,two"}, "STATE_DIR"),
    ],
)
def test_a_value_that_cannot_be_meant_is_named_in_one_line(variables, named):
    with pytest.raises(Failed) as failure:
        settings.read(variables)
    assert named in str(failure.value)
    assert "\n" not in str(failure.value)


def test_a_key_alone_does_not_choose_a_real_model():
    assert settings.read({"OPENAI_API_KEY": "sk-secret", "OPENAI_MODEL": "large"}).model is None


def test_secrets_do_not_show():
    chosen = settings.read(
        {"OPENAI_BASE_URL": "http://127.0.0.1/v1", "OPENAI_API_KEY": "sk-secret", "DATABASE_URL": "postgresql://u:pw@h/d"}
    )
    assert chosen.model.api_key == "sk-secret"
    assert "sk-secret" not in repr(chosen)
    assert "pw" not in repr(chosen)
