"""How large the body of a request may be."""

from __future__ import annotations

import re

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jetscale_backend.envelope import ApiError, error_response, too_large

# Room for the longest login and password, each letter spelled out as JSON may.
BODY_MAX_BYTES = 64 * 1024
# An answer waits for the body that nobody reads, up to all that the router lets pass: a proxy that still
# sends takes an answer and a closed connection for a failure. Before, nginx lost 24 of 60 answers to 6 MiB.
DRAIN_MAX_BYTES = 8 * 1024 * 1024
DRAIN_MAX_SECS = 5


def body_too_large() -> ApiError:
    return too_large("body_too_large", f"A body has at most {BODY_MAX_BYTES} bytes.")


class BodyLimit:
    """Refuses larger bodies, by their Content-Length or else as their bytes come.

    `larger` is a method and an expression of the whole path: what limits its bodies itself.
    """

    def __init__(self, app: ASGIApp, larger: tuple[str, re.Pattern[str]] | None = None) -> None:
        self._app = app
        self._larger = larger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"]) if scope["type"] == "http" else {}
        length = headers.get(b"content-length")
        if length is None and b"transfer-encoding" not in headers:
            await self._app(scope, receive, send)
            return
        limit = None if self._is_larger(scope) else BODY_MAX_BYTES
        body = _Body(receive, send, limit)
        # The server has refused what is no number.
        declared = int(length or 0)
        if declared > DRAIN_MAX_BYTES:
            body.more = False  # Not waited for at all.
        if limit is None or declared <= limit:
            await self._app(scope, body.receive, body.send)
            return
        error = body_too_large()
        refusal = error_response(error.status_code, error.code, error.detail, headers=error.headers)
        await refusal(scope, body.receive, body.send)

    def _is_larger(self, scope: Scope) -> bool:
        if self._larger is None:
            return False
        method, path = self._larger
        return scope["method"] == method and path.fullmatch(scope["path"]) is not None


class _Body:
    """Counts what is received, and sends nothing before its end."""

    def __init__(self, receive: Receive, send: Send, limit: int | None) -> None:
        self._receive = receive
        self._send = send
        self._limit = limit
        self._received = 0
        self.more = True

    async def receive(self) -> Message:
        message = await self._next()
        if self._limit is not None and self._received > self._limit:
            # Out of whoever reads the body, to what makes an answer of it.
            raise body_too_large()
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            with anyio.move_on_after(DRAIN_MAX_SECS):
                while self.more and self._received < DRAIN_MAX_BYTES:
                    await self._next()
        await self._send(message)

    async def _next(self) -> Message:
        message = await self._receive()
        self._received += len(message.get("body", b""))
        self.more = message.get("more_body", False)
        return message
