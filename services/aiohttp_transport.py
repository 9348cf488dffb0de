"""HTTP to models through aiohttp, whose parser is C: a chunk of a stream costs half the processor time that it does
through httpx2's own transport, and there are thousands of them a second.

The client above stays httpx2's: only what carries its requests is exchanged. Failures are raised as httpx2 names them.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from ssl import SSLContext

import aiohttp
import httpx2
from yarl import URL

READ_BYTES = 64 * 1024
# By what aiohttp raises, what httpx2 would have raised; the first that fits.
FAILURES = (
    (aiohttp.ConnectionTimeoutError, httpx2.ConnectTimeout),
    (aiohttp.SocketTimeoutError, httpx2.ReadTimeout),
    (aiohttp.ClientProxyConnectionError, httpx2.ProxyError),
    (aiohttp.ClientHttpProxyError, httpx2.ProxyError),
    (aiohttp.ClientConnectorError, httpx2.ConnectError),
    (aiohttp.ServerDisconnectedError, httpx2.RemoteProtocolError),
    (aiohttp.ClientConnectionError, httpx2.ReadError),
    (aiohttp.InvalidURL, httpx2.UnsupportedProtocol),
    (aiohttp.NonHttpUrlClientError, httpx2.UnsupportedProtocol),
    (aiohttp.ClientError, httpx2.RemoteProtocolError),
    (TimeoutError, httpx2.ReadTimeout),
    (OSError, httpx2.ReadError),
)


class AiohttpTransport(httpx2.AsyncBaseTransport):
    """Any number of connections, as proxies of the environment want them, for the loop of its first request."""

    def __init__(self, *, ssl: SSLContext, keepalive: float) -> None:
        self._ssl = ssl
        self._keepalive = keepalive  # seconds
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        patience = request.extensions["timeout"]
        with _failures_of(request):
            response = await self._opened().request(
                request.method,
                URL(str(request.url), encoded=True),
                headers=request.headers.multi_items(),
                data=await request.aread(),
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(sock_connect=patience["connect"], sock_read=patience["read"]),
            )
        return httpx2.Response(response.status, headers=response.raw_headers, stream=_Body(response, request))

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, ssl=self._ssl, keepalive_timeout=self._keepalive),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,  # the client above does
                trust_env=True,
            )
        return self._session


class _Body(httpx2.AsyncByteStream):
    """What comes of a response. Closing it closes the connection, unless it came to its end."""

    def __init__(self, response: aiohttp.ClientResponse, request: httpx2.Request) -> None:
        self._response = response
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _failures_of(self._request):
            async for piece in self._response.content.iter_any():
                yield piece

    async def aclose(self) -> None:
        self._response.close()


@contextmanager
def _failures_of(request: httpx2.Request) -> Iterator[None]:
    try:
        yield
    except Exception as failure:
        for theirs, ours in FAILURES:
            if isinstance(failure, theirs):
                raise ours(str(failure), request=request) from failure
        raise
