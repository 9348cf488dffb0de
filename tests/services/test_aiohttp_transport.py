"""What carries requests to models: as many connections as there are replies, through the proxy that people have set."""

import asyncio

import httpx2

from services.aiohttp_transport import AiohttpTransport

MANY = 150  # more than aiohttp opens by itself
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: seen=1\r\n\r\nok"


def asked(urls, is_answered=lambda requests: True):
    """The heads of the requests that arrive at a server of ours for `urls` (with its `port`), all sent at once. It
    answers as soon as it `is_answered`."""

    async def main():
        requests, change = [], asyncio.Condition()

        async def answer(reader, writer):
            head = await reader.readuntil(b"\r\n\r\n")
            async with change:
                requests.append(head.decode())
                change.notify_all()
                await change.wait_for(lambda: is_answered(requests))
            writer.write(ANSWER)
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=MANY)
        port = server.sockets[0].getsockname()[1]
        wanted = urls(port)
        transport = AiohttpTransport(ssl=httpx2.create_ssl_context(), keepalive=5)
        async with server, httpx2.AsyncClient(transport=transport, timeout=20) as client:
            answers = await asyncio.gather(*map(client.get, wanted))
            assert [answer.text for answer in answers] == ["ok"] * len(wanted)
        return requests

    return asyncio.run(main())


def test_as_many_requests_are_under_way_as_there_are():
    requests = asked(
        lambda port: [f"http://127.0.0.1:{port}/{number}" for number in range(MANY)],
        is_answered=lambda requests: len(requests) == MANY,
    )
    assert len(requests) == MANY


def test_requests_go_through_the_proxy_of_the_environment(monkeypatch):
    def urls(port):
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
        return ["http://models.example/v1/models"]

    [request] = asked(urls)
    assert request.startswith("GET http://models.example/v1/models HTTP/1.1")


def test_addresses_go_out_as_they_were_written():
    [request] = asked(lambda port: [f"http://127.0.0.1:{port}/v1/a%2Fb%3A?q=%C3%BC%2B"])
    assert request.startswith("GET /v1/a%2Fb%3A?q=%C3%BC%2B HTTP/1.1")
