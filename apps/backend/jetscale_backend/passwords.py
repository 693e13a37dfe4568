"""Logins and passwords: Argon2id, off the event loop and a few at a time."""

from __future__ import annotations

import secrets

import anyio
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

# OWASP's first choice for argon2id: 19 MiB, two passes, one lane.
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


def normal_login(login: str) -> str:
    """Logins are e-mail addresses: nobody expects their letter case to matter."""
    return login.strip().lower()


def hash_password(password: str) -> str:
    return _hasher.hash(password)


def is_current(password_hash: str, password: str) -> bool:
    """Whether the hash fits the password and today's parameters."""
    return _matches(password_hash, password) and not _hasher.check_needs_rehash(password_hash)


class PasswordVerifier:
    def __init__(self) -> None:
        # Each verification holds 19 MiB: unlimited ones would pass a pod's memory limit.
        self._limiter = anyio.CapacityLimiter(2)
        # An unknown login costs the same work as a known one.
        self._decoy = hash_password(secrets.token_urlsafe())

    async def verify(self, password_hash: str | None, password: str) -> bool:
        matches = await anyio.to_thread.run_sync(
            _matches, password_hash or self._decoy, password, limiter=self._limiter
        )
        return matches and password_hash is not None


def _matches(password_hash: str, password: str) -> bool:
    try:
        return _hasher.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False
