import asyncio
import threading

import pytest

from jetscale_backend import passwords as module
from jetscale_backend.passwords import PasswordVerifier
from tests.conftest import LOGIN, PASSWORD
from tests.test_auth import sign_in


@pytest.fixture
def passwords():
    return PasswordVerifier(running=1, waiting=1)


@pytest.fixture
def slow(monkeypatch):
    """Verifications that end when they are let; how many have begun, and how many were at work at once."""

    class Slow:
        def __init__(self):
            self.may_end = threading.Event()
            self.begun = self.running = self.most = 0

        def matches(self, password_hash, password):
            self.begun += 1
            self.running += 1
            self.most = max(self.most, self.running)
            assert self.may_end.wait(30)
            self.running -= 1
            return password == PASSWORD

    slow = Slow()
    monkeypatch.setattr(module, "_matches", slow.matches)
    yield slow
    slow.may_end.set()


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 (what is awaited happens in a thread)
            await asyncio.sleep(0.01)


async def test_who_finds_the_line_full_is_told_at_once(client, passwords, slow):
    in_line = [asyncio.create_task(sign_in(client, LOGIN, PASSWORD)) for _ in range(2)]
    await until(lambda: slow.begun == 1 and passwords._free_places == 0)

    async with asyncio.timeout(5):
        refused = await sign_in(client, LOGIN, PASSWORD)
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "2")
        assert refused.json()["error"]["code"] == "too_many_sign_ins"
        # Whoever looks after the service is answered meanwhile.
        for path in ("live", "ready"):
            assert (await client.get(f"/api/v2/system/{path}")).status_code == 200

    slow.may_end.set()
    assert [answer.status_code for answer in await asyncio.gather(*in_line)] == [200, 200]
    assert (slow.begun, slow.most) == (2, 1)
    assert (await sign_in(client, LOGIN, PASSWORD)).status_code == 200


async def test_nothing_is_asked_of_others_for_who_finds_no_place(client, passwords, failures):
    async def seen(*_):
        raise AssertionError("redis was asked")

    failures.seen = seen
    with passwords.place(), passwords.place():
        assert (await sign_in(client, LOGIN, PASSWORD)).status_code == 503


async def test_a_refusal_gives_its_place_back(client, passwords):
    for _ in range(4):
        assert (await sign_in(client, LOGIN, "wrong")).status_code == 401
    assert passwords._free_places == 2


async def ask(app, gone):
    """A sign-in whose client is gone as soon as that is set."""
    body = b'{"login": "%s", "password": "%s"}' % (LOGIN.encode(), PASSWORD.encode())
    messages = [{"type": "http.request", "body": body, "more_body": False}]
    sent = []

    async def receive():
        if messages:
            return messages.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    scope = {"type": "http", "method": "POST", "path": "/api/v2/auth/sign-in", "query_string": b""}
    await app({**scope, "headers": headers, "client": ("10.0.0.9", 1), "http_version": "1.1"}, receive, send)
    return sent[0]["status"]


async def test_who_leaves_the_line_frees_the_place(app, client, passwords, slow):
    gone, stays = asyncio.Event(), asyncio.Event()
    first = asyncio.create_task(ask(app, stays))
    await until(lambda: slow.begun == 1)
    second = asyncio.create_task(ask(app, gone))
    await until(lambda: passwords._free_places == 0)
    gone.set()
    async with asyncio.timeout(5):
        await second
    assert passwords._free_places == 1

    third = asyncio.create_task(ask(app, stays))
    await until(lambda: passwords._free_places == 0)
    slow.may_end.set()
    assert [await first, await third] == [200, 200]
    # Nobody worked for who had left.
    assert slow.begun == 2


async def test_who_leaves_while_it_is_verified_is_counted(app, passwords, slow, failures, monkeypatch):
    gone = asyncio.Event()
    monkeypatch.setattr(module, "_matches", lambda *_: slow.matches("", "wrong"))
    asked = asyncio.create_task(ask(app, gone))
    await until(lambda: slow.begun == 1)
    gone.set()
    await asyncio.sleep(0.05)
    slow.may_end.set()
    await asked
    assert len(failures.recorded) == 1
    assert passwords._free_places == 2
