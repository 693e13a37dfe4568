"""Logins and passwords: Argon2id, off the event loop, a few at a time, and a line that ends."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import anyio
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

# OWASP's first choice for argon2id: 19 MiB, two passes, one lane.
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)

# Each verification holds 19 MiB: unlimited ones would pass a pod's memory limit.
RUNNING = 2
# One takes 30 ms of a processor (measured): two processors do 65 a second, one does 33. So the last in line
# waits 0.5 to 1 s, ten times that on a node that is overloaded, and the next is told at once to come again.
WAITING = 32

# Ends when the client has gone away.
Left = Callable[[], Awaitable[None]]


class NoTurn(Exception):
    """The line is full, or who stood in it has left."""


def normal_login(login: str) -> str:
    """Logins are e-mail addresses: nobody expects their letter case to matter."""
    return login.strip().lower()


def hash_password(password: str) -> str:
    return _hasher.hash(password)


def is_current(password_hash: str, password: str) -> bool:
    """Whether the hash fits the password and today's parameters."""
    return _matches(password_hash, password) and not _hasher.check_needs_rehash(password_hash)


class PasswordVerifier:
    def __init__(self, *, running: int = RUNNING, waiting: int = WAITING) -> None:
        self._free_places = running + waiting
        self._running = asyncio.Semaphore(running)
        # An unknown login costs the same work as a known one.
        self._decoy = hash_password(secrets.token_urlsafe())

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place in line, taken before anything else is done for a sign-in.

        Raises:
            NoTurn: there is none.
        """
        if self._free_places == 0:
            raise NoTurn
        self._free_places -= 1
        try:
            yield
        finally:
            self._free_places += 1

    async def verify(self, password_hash: str | None, password: str, left: Left) -> bool:
        """Whether it is the password; waits for its turn.

        Raises:
            NoTurn: the client left before.
        """
        async with self._turn(left):
            matches = await anyio.to_thread.run_sync(_matches, password_hash or self._decoy, password)
        return matches and password_hash is not None

    @asynccontextmanager
    async def _turn(self, left: Left) -> AsyncIterator[None]:
        # Only who waits may leave: a guess that is being verified is counted, answered or not.
        with anyio.CancelScope() as wait:

            async def end_wait() -> None:
                await left()
                wait.cancel()

            watch = asyncio.create_task(end_wait())
            try:
                await self._running.acquire()
            finally:
                watch.cancel()
        if wait.cancelled_caught:
            raise NoTurn
        try:
            yield
        finally:
            self._running.release()


def _matches(password_hash: str, password: str) -> bool:
    try:
        return _hasher.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False
