import asyncio
import json
import select
import socket
import threading
from contextlib import contextmanager, suppress

import pytest
import uvicorn

from jetscale_backend import bodies
from jetscale_backend.bodies import BODY_MAX_BYTES, DRAIN_MAX_BYTES
from tests.test_auth import sign_in

SIGN_IN = "/api/v2/auth/sign-in"
TOO_LARGE = {"code": "body_too_large", "message": "A body has at most 65536 bytes."}


async def test_the_longest_login_and_password_fit(client):
    """Every letter of them spelled out: a pair of surrogates, six bytes each."""
    body = json.dumps({"login": "\U0001f600" * 320, "password": "\U0001f600" * 1024}).encode()
    headers = {"Content-Type": "application/json"}
    assert len(body) > 12 * 1344
    assert (await client.post(SIGN_IN, content=body, headers=headers)).status_code == 401


@pytest.mark.parametrize("method_and_path", [f"POST {SIGN_IN}", "POST /api/v2/items", "GET /docs", "PUT /no"])
@pytest.mark.parametrize("size", [BODY_MAX_BYTES + 1, 1024 * 1024, 2 * DRAIN_MAX_BYTES])
async def test_a_declared_length_is_refused(client, bearer, method_and_path, size):
    refused = await client.request(*method_and_path.split(), content=b"x" * size, headers=bearer)
    assert (refused.status_code, refused.json()) == (413, {"error": TOO_LARGE})
    assert refused.headers["Connection"] == "close"


@pytest.mark.parametrize(("size", "status"), [(BODY_MAX_BYTES, 422), (BODY_MAX_BYTES + 1, 413)])
async def test_bytes_that_nobody_announced_are_counted(client, size, status):
    async def body():
        for start in range(0, size, 10_000):
            yield b" " * min(10_000, size - start)

    headers = {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}
    answer = await client.post(SIGN_IN, content=body(), headers=headers)
    assert answer.status_code == status


async def test_only_an_attachments_own_request_may_have_more(client, bearer):
    place = "/api/v2/items/00000000-0000-4000-8000-000000000000/attachments"
    tried = [("PUT", f"{place}/a"), ("POST", f"{place}/a"), ("PUT", place), ("PUT", f"{place}/a/b")]
    answers = [await client.request(*one, content=b"x" * 100_000, headers=bearer) for one in tried]
    # There is no object store here, and so no such path.
    assert [answer.status_code for answer in answers] == [404, 413, 413, 413]


@contextmanager
def served(app):
    """By the server that the image has."""
    server = uvicorn.Server(
        uvicorn.Config(app, port=0, http="httptools", loop="uvloop", log_level="critical", lifespan="off")
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            threading.Event().wait(0.01)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


def answer_to_one_without_end(port, head):
    """All that is answered to a client that sends until it is, up to where the server hangs up."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(f"POST {SIGN_IN} HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n".encode())
        answer = b""
        # It resets the connection: what is still on its way it does not read.
        with suppress(ConnectionError):
            for _ in range(16 * DRAIN_MAX_BYTES // 4096):
                if select.select([client], [], [], 0)[0]:
                    break
                client.sendall(b"1000\r\n" + b" " * 4096 + b"\r\n")
        with suppress(ConnectionError):
            while part := client.recv(4096):
                answer += part
        return answer


@pytest.mark.parametrize(
    "head",
    [f"Content-Length: {100 * DRAIN_MAX_BYTES}", "Transfer-Encoding: chunked"],
    ids=["declared", "chunked"],
)
async def test_whoever_sends_without_end_is_answered_and_cut(app, head):
    with served(app) as port:
        answer = await asyncio.to_thread(answer_to_one_without_end, port, head)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 413 ")
    assert json.loads(body) == {"error": TOO_LARGE}


async def test_whoever_sends_nothing_more_is_answered_too(app, monkeypatch):
    monkeypatch.setattr(bodies, "DRAIN_MAX_SECS", 0.1)
    with served(app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"POST {SIGN_IN} HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n\r\n".encode())
        async with asyncio.timeout(20):
            assert (await reader.read()).startswith(b"HTTP/1.1 413 ")
        writer.close()


async def test_what_was_read_to_its_end_keeps_the_connection(client):
    answer = await sign_in(client, "ada@example.test", "wrong")
    assert "Connection" not in answer.headers
