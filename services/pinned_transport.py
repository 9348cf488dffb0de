"""HTTP to the very addresses that were judged, for URLs of people whom `url_guard` keeps outside.

A name is resolved by us and only once, so that it cannot lead somewhere else between the judgement and the connection;
proxies that the environment names are not asked, because they would resolve it again.
"""

import asyncio
import time
from collections.abc import Callable
from ssl import SSLContext

import httpx2

from . import url_guard

PIN_SECONDS = 60.0  # then a name is judged anew: a server that moves must not be lost to a host that runs for months
_HTTPS_PORT, _HTTP_PORT = 443, 80


class PinnedTransport(httpx2.AsyncBaseTransport):
    """Connects to the addresses that `judge` let pass, and to no others. Every request is judged, and so is every hop
    of a redirect."""

    def __init__(
        self,
        judge: Callable[[str, int], tuple[str, ...]] = url_guard.public_addresses,
        *,
        verify: SSLContext | bool = True,
        limits: httpx2.Limits | None = None,
    ) -> None:
        self._judge = judge
        limits = limits or httpx2.Limits(max_connections=None)
        self._inner = httpx2.AsyncHTTPTransport(verify=verify, limits=limits)
        self._pins: dict[tuple[str, int], tuple[float, tuple[str, ...]]] = {}  # until when, and where to

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        url = request.url
        if url.scheme not in url_guard.SCHEMES:
            raise url_guard.UrlRefused("Only http and https URLs can be used.")
        for address in await self._addresses(_host(url), url.port or _default_port(url)):
            try:
                return await self._inner.handle_async_request(_to_address(request, address))
            except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
                failure = error  # nothing was sent: the host's next address may do
        raise failure

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def _addresses(self, host: str, port: int) -> tuple[str, ...]:
        until, addresses = self._pins.get((host, port), (0.0, ()))
        if time.monotonic() >= until:
            try:
                addresses = await asyncio.to_thread(self._judge, host, port)
            except OSError as error:
                raise httpx2.ConnectError("The host name cannot be resolved.") from error
            self._pins[host, port] = time.monotonic() + PIN_SECONDS, addresses
        return addresses


def _host(url: httpx2.URL) -> str:
    return url.raw_host.decode("ascii")  # as it goes over the wire: nobody translates it once more


def _default_port(url: httpx2.URL) -> int:
    return _HTTPS_PORT if url.scheme == "https" else _HTTP_PORT


def _to_address(request: httpx2.Request, address: str) -> httpx2.Request:
    """The same request, with its Host header and for its TLS name, sent to a numeric address."""
    extensions = {**request.extensions, "sni_hostname": _host(request.url)}
    url = request.url.copy_with(host=address)
    return httpx2.Request(request.method, url, headers=request.headers, stream=request.stream, extensions=extensions)
