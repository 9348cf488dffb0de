"""Which URLs people may use: judged by address, whatever the spelling; connected to what was judged."""

import asyncio
import socket
import ssl

import httpx2
import pytest

from services import llm_failures, pinned_transport, url_guard
from services.errors import ModelRefused, ModelUnreachable, NotConfigured
from services.llm import OpenAIModel, list_models
from services.mcp_wire import Exchange, WireClient, exchange
from services.messages import UserMessage
from services.pinned_transport import PinnedTransport
from services.specs import ModelSpec
from services.url_guard import UrlRefused
from tests.fakes.mcp_servers import JsonServer, self_signed
from tests.fakes.model_server import ModelServer


@pytest.mark.parametrize("address", [
    "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "100.100.100.200", "168.63.129.16", "192.0.0.192", "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1",
    "255.255.255.255", "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1",
    "2002:7f00:1::1", "2002:c0a8:101::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2",
])
def test_internal_addresses_are_not_public(address):
    assert not url_guard.is_public(address)


@pytest.mark.parametrize("address", [
    "93.184.216.34", "1.1.1.1", "2606:4700:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101", "2002:101:101::1",
])
def test_addresses_of_the_internet_are_public(address):
    assert url_guard.is_public(address)


@pytest.mark.parametrize("url", [
    "http://127.0.0.1/mcp", "http://localhost:8069/", "http://2130706433/", "http://0x7f000001/", "http://0177.0.0.1/",
    "http://127.1/", "http://0/", "http://[::1]/", "http://[::ffff:127.0.0.1]/", "http://[::ffff:a9fe:a9fe]/",
    "http://169.254.169.254/latest/meta-data/", "https://10.0.0.8/mcp", "http://0x7f.1/",
    "http://017700000001/", "http://[0:0:0:0:0:ffff:7f00:1]/", "http://[64:ff9b::7f00:1]/", "http://[2002:7f00:1::]/",
    "http://\uff11\uff12\uff17.0.0.1/", "http://127\u30020\u30020\u30021/", "http://\u2460\u2461\u2466.0.0.1/",
])
def test_no_spelling_of_an_internal_address_passes(url):
    assert url_guard.is_plainly_internal(url)
    with pytest.raises(UrlRefused, match="inside a private network"):
        url_guard.check(url)


@pytest.mark.parametrize(("url", "is_internal"), [
    ("http://LOCALHOST./", True), ("http://127.0.0.1./", True), ("http://odoo.localhost/", True),
    ("http://nas.local:8080/mcp", True),
    ("http://metadata.google.internal/", True), ("http://[fe80::1]/", True),
    ("https://1.1.1.1/", False), ("https://tools.example.com/mcp", False), ("https://local.example.com/", False),
    ("http://" + "a" * 70 + ".example/", False),
])
def test_what_a_url_says_in_so_many_words_is_judged_without_resolving_it(url, is_internal):
    assert url_guard.is_plainly_internal(url) is is_internal


@pytest.mark.parametrize(("url", "reason"), [
    ("ftp://1.1.1.1/", "Only http and https"),
    ("file:///etc/passwd", "Only http and https"),
    ("//1.1.1.1/", "Only http and https"),
    ("http://user:secret@1.1.1.1/", "must not contain"),
    ("http:///mcp", "no host"),
    ("http://1.1.1.1:99999/", "invalid port"),
    ("http://" + "a" * 70 + ".example/", "invalid host"),
])
def test_other_urls_are_refused_with_their_reason(url, reason):
    with pytest.raises(UrlRefused, match=reason) as caught:
        url_guard.check(url)
    assert "secret" not in str(caught.value)


def test_a_public_address_passes():
    url_guard.check("https://1.1.1.1:8443/mcp?x=1")


def answer(url, transport):
    async def run():
        async with WireClient(transport=transport) as client:
            return await client.get(url)

    return asyncio.run(_with_exchange(run))


async def _with_exchange(run):
    exchange.set(Exchange())
    return await run()


def test_a_connection_goes_to_the_address_that_was_judged_and_the_name_is_asked_for_once():
    judged = []

    def judge(host, port):  # a name server that would say something else the next time
        judged.append((host, port))
        return ("127.0.0.1",)

    seen = []

    def respond(verb, headers, body):
        seen.append(headers["host"])
        return 200, {}, b"here"

    with JsonServer(respond) as server:
        async def run():
            async with WireClient(transport=PinnedTransport(judge)) as client:
                for _ in range(2):
                    response = await client.get(f"http://shop.example:{server.port}/mcp")
                    assert response.text == "here"

        asyncio.run(_with_exchange(run))
        assert judged == [("shop.example", server.port)]
        assert seen == [f"shop.example:{server.port}"] * 2


def test_the_next_address_is_tried_where_nothing_was_sent():
    with JsonServer(lambda *request: (200, {}, b"here")) as server:
        transport = PinnedTransport(lambda host, port: ("127.0.0.2", "127.0.0.1"))
        assert answer(f"http://shop.example:{server.port}/", transport).text == "here"


def test_a_certificate_is_checked_against_the_name_and_not_against_the_address(tmp_path):
    certificate, key = self_signed(tmp_path, "shop.example")
    trust = ssl.create_default_context(cafile=certificate)

    def pinned():
        return PinnedTransport(lambda host, port: ("127.0.0.1",), verify=trust)

    with JsonServer(lambda *request: (200, {}, b"here"), tls=(certificate, key)) as server:
        assert answer(f"https://shop.example:{server.port}/", pinned()).text == "here"
        assert answer(f"https://other.example:{server.port}/", pinned()).status_code == 503


@pytest.fixture
def names(monkeypatch):
    """A scripted name server: for each name the addresses of its first, second, … answer; the last one is repeated. The
    loopback addresses but 127.0.0.1 stand for the internet."""
    script: dict[str, list[tuple[str, ...]]] = {}
    monkeypatch.setattr(url_guard, "is_public", lambda address: address != "127.0.0.1")

    def resolve(host, port, *args, **kwargs):
        if host not in script:
            return resolve_really(host, port, *args, **kwargs)
        addresses = script[host].pop(0) if len(script[host]) > 1 else script[host][0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    resolve_really = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return script


@pytest.fixture
def hasty(monkeypatch):
    """No pause before a request is repeated."""
    monkeypatch.setattr(llm_failures, "FIRST_DELAY_S", 0.0)


def test_a_name_whose_address_changes_between_check_and_use_leads_nowhere_else(names, hasty):
    with ModelServer() as inside:
        names["evil.example"] = [("127.0.0.2",), ("127.0.0.1",)]
        url = f"http://evil.example:{inside.port}/v1"
        with pytest.raises(ModelUnreachable):  # nobody is at the address that was judged
            ask(url)
        assert names["evil.example"] == [("127.0.0.1",)]  # asked for once, though there were four attempts
        assert "inside a private network" in refusal_of(url)
        assert inside.connections == 0


def test_a_name_is_judged_anew_after_a_while(monkeypatch):
    monkeypatch.setattr(pinned_transport, "PIN_SECONDS", 0.0)
    answers = [("127.0.0.1",)]

    def judge(host, port):
        if not answers:
            raise UrlRefused("The address is inside a private network.")
        return answers.pop()

    with JsonServer(lambda *request: (200, {}, b"here")) as server:
        async def run():
            async with httpx2.AsyncClient(transport=PinnedTransport(judge)) as client:
                url = f"http://moving.example:{server.port}/"
                assert (await client.get(url)).text == "here"
                with pytest.raises(UrlRefused):
                    await client.get(url)

        asyncio.run(run())


def test_one_internal_address_among_several_refuses_the_name(names):
    with ModelServer() as inside:
        names["evil.example"] = [("127.0.0.2", "127.0.0.1")]
        assert "inside a private network" in refusal_of(f"http://evil.example:{inside.port}/v1")
        assert inside.connections == 0


def test_a_proxy_of_the_environment_does_not_carry_a_guarded_request_inside(names, monkeypatch):
    with ModelServer() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        names["evil.example"] = [("127.0.0.1",)]
        assert "inside a private network" in refusal_of("http://evil.example/v1")
        assert proxy.connections == 0


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_guarded_provider_that_redirects_inside_is_not_followed(names, monkeypatch, code):
    with ModelServer() as inside, JsonServer(
        lambda *request: (code, {"location": f"{inside.base_url}/chat/completions"}, b"")
    ) as outside:
        names["outside.example"] = [("127.0.0.1",)]
        monkeypatch.setattr(url_guard, "is_public", lambda address: True)
        with pytest.raises(ModelRefused, match="which was not followed"):
            ask(f"http://outside.example:{outside.port}/v1")
        assert inside.connections == 0


def test_a_guarded_model_is_asked_where_its_name_leads_outside(names, monkeypatch):
    monkeypatch.setattr(url_guard, "is_public", lambda address: True)
    with ModelServer() as server:
        names["models.example"] = [("127.0.0.1",)]
        url = f"http://models.example:{server.port}/v1"
        assert asyncio.run(list_models(ModelSpec(url, "", guarded=True))) == ["scripted"]
        assert server.other_requests[0].headers["host"] == f"models.example:{server.port}"


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}/v1", "http://2130706433:{port}/v1", "http://[::1]:{port}/v1"])
def test_a_guarded_model_inside_the_network_is_refused_before_anything_is_sent(url):
    with ModelServer() as inside:
        assert "inside a private network" in refusal_of(url.format(port=inside.port))
        assert inside.connections == 0


def refusal_of(base_url):
    """Why a guarded model is not asked, after the retries that there are."""
    with pytest.raises(NotConfigured) as listing:
        asyncio.run(list_models(ModelSpec(base_url, "", guarded=True)))
    with pytest.raises(NotConfigured) as asking:
        ask(base_url)
    assert str(listing.value) == str(asking.value)
    return str(asking.value)


def ask(base_url):
    async def run():
        model = OpenAIModel(ModelSpec(base_url, "small", guarded=True))
        try:
            return [item async for item in model.ask([UserMessage("Hello?")], [])]
        finally:
            await model.aclose()

    return asyncio.run(run())


def test_every_hop_of_a_redirect_is_judged():
    with JsonServer(lambda *request: (307, {"location": "http://inside.example/"}, b"")) as server:
        def judge(host, port):
            if host == "inside.example":
                raise UrlRefused("The address is inside a private network.")
            return ("127.0.0.1",)

        async def run():
            async with httpx2.AsyncClient(transport=PinnedTransport(judge), follow_redirects=True) as client:
                await client.get(f"http://outside.example:{server.port}/")

        with pytest.raises(UrlRefused):
            asyncio.run(run())
