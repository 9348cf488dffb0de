"""The live server itself: what other tests build on."""

import pytest

from tests.live import RemoteError


def test_a_person_acts_with_their_own_rights(live):
    ann = live.person("ann")
    assert ann.read("res.users", ann.user_id, "login")["login"] == ann.login
    with pytest.raises(RemoteError) as refused:
        ann.create("ir.config_parameter", key="test.key", value="1")
    assert refused.value.name == "odoo.exceptions.AccessError"


def test_an_api_key_opens_the_json_api(live):
    ann = live.person("ann")
    answer = live.anonymous().post(
        "/json/2/res.users/context_get", json={}, headers={"Authorization": f"Bearer {ann.api_key}"}
    )
    assert answer.json()["uid"] == ann.user_id


def test_a_server_comes_back_on_its_own_database(start_live):
    server = start_live()
    ann = server.person("ann")
    server.kill()
    server.start()
    assert ann.read("res.users", ann.user_id, "login")["login"] == ann.login
    assert server.log.errors() == []
