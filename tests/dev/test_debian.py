"""Where Debian's packages come from."""

import pytest

from dev import debian
from dev.debian import Mirror

STABLE = """\
MetaKey: main/binary-amd64/Packages
Codename: trixie
Origin: Debian
Component: main
Created-By: Packages
Release: trixie
Repo-URI: http://mirror.example/debian/
"""


def test_the_mirror_is_the_one_that_the_machine_uses():
    security = STABLE.replace("trixie", "trixie-security").replace("/debian/", "/debian-security/")
    assert debian.mirror_of(f"{security}\n{STABLE}") == Mirror("http://mirror.example/debian/", "trixie")


def test_a_mirror_is_known_before_its_lists_were_fetched():
    bare = "\n".join(line for line in STABLE.splitlines() if not line.startswith(("Origin", "Codename")))
    assert debian.mirror_of(bare) == Mirror("http://mirror.example/debian/", "trixie")


@pytest.mark.parametrize("other", [STABLE.replace("Origin: Debian", "Origin: Other"), ""])
def test_a_machine_without_debians_packages_has_no_mirror(other):
    assert debian.mirror_of(other) is None


def test_on_a_moving_suite_what_must_not_move_comes_from_the_release():
    assert [Mirror("", suite).stable for suite in ("bookworm", "sid", "testing")] == ["bookworm", "stable", "stable"]
