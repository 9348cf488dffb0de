"""Which URLs people may use: judged by address, whatever the spelling; connected to what was judged."""

import asyncio
import ssl

import httpx2
import pytest

from services import url_guard
from services.mcp_wire import Exchange, PinnedTransport, WireClient, exchange
from services.url_guard import UrlRefused
from tests.fakes.mcp_servers import JsonServer, self_signed


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
    "http://169.254.169.254/latest/meta-data/", "https://10.0.0.8/mcp",
])
def test_no_spelling_of_an_internal_address_passes(url):
    assert url_guard.is_plainly_internal(url)
    with pytest.raises(UrlRefused, match="inside a private network"):
        url_guard.check(url)


@pytest.mark.parametrize(("url", "is_internal"), [
    ("http://LOCALHOST./", True), ("http://odoo.localhost/", True), ("http://nas.local:8080/mcp", True),
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
        return PinnedTransport(lambda host, port: ("127.0.0.1",), httpx2.AsyncHTTPTransport(verify=trust))

    with JsonServer(lambda *request: (200, {}, b"here"), tls=(certificate, key)) as server:
        assert answer(f"https://shop.example:{server.port}/", pinned()).text == "here"
        assert answer(f"https://other.example:{server.port}/", pinned()).status_code == 503


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
