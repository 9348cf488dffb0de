"""Which Odoo is used."""

import pytest

from dev import odoo_source, settings
from dev.output import Failed


def checkout(folder, version, mail="addons/mail"):
    (folder / mail).mkdir(parents=True)
    (folder / mail / "__manifest__.py").touch()
    (folder / "odoo").mkdir(exist_ok=True)
    (folder / "odoo" / "release.py").write_text(f"RELEASE_LEVELS = []\nversion_info = ({version}, FINAL, 0, '')\n")
    return folder


def test_a_checkout_is_recognised_by_its_release(tmp_path):
    assert odoo_source.series_of(checkout(tmp_path, "19, 0")) == "19.0"
    assert odoo_source.series_of(tmp_path / "addons") is None


def test_so_is_debians_layout(tmp_path):
    assert odoo_source.series_of(checkout(tmp_path, "19, 0", mail="odoo/addons/mail")) == "19.0"


@pytest.mark.parametrize(("version", "said"), [("18, 0", "Odoo 18.0"), ("19, 1", "Odoo 19.1")])
def test_another_odoo_than_19_is_refused_in_one_line(tmp_path, version, said):
    chosen = settings.Settings(state=tmp_path / "state", odoo_dir=checkout(tmp_path, version))
    with pytest.raises(Failed, match=f"{said}: this addon needs Odoo 19.0") as failure:
        odoo_source.ensure(chosen)
    assert "\n" not in str(failure.value)
