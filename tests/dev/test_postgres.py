"""How PostgreSQL is reached."""

from pathlib import Path

import pytest

from dev import postgres
from dev.output import Failed
from dev.postgres import Server


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("postgresql://odoo@db.example", Server("db.example", user="odoo")),
        (
            "postgres://o%40o:p%2Fw@[::1]:5433/main?sslmode=require",
            Server("::1", "5433", "o@o", "p/w", "require", "main"),
        ),
        ("postgresql:///?host=/run/postgresql&user=odoo", Server("/run/postgresql", user="odoo")),
    ],
)
def test_a_url_is_read_as_libpq_reads_it(url, server):
    assert postgres.parse(url) == server


@pytest.mark.parametrize("url", ["mysql://root@localhost", "localhost", "postgresql://host:port/"])
def test_a_url_of_something_else_is_refused(url):
    with pytest.raises(Failed, match="DATABASE_URL"):
        postgres.parse(url)


def test_an_address_never_shows_its_password():
    assert "secret" not in repr(postgres.parse("postgresql://odoo:secret@localhost"))


def test_a_path_that_is_too_long_for_a_socket_gets_another_folder_of_its_own():
    deep = Path("/" + "deep/" * 30)
    assert postgres.socket_folder(Path("/short/postgres")) == Path("/short/postgres")
    others = {postgres.socket_folder(deep / name) for name in ("one", "two")}
    assert len(others) == 2
    assert all(len(str(folder / postgres.SOCKET_NAME)) <= postgres.LONGEST_SOCKET_PATH for folder in others)
