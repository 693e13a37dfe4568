"""Redis: the connection, and the count of failed sign-ins kept in it."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from dataclasses import dataclass

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from jetscale_backend import tls
from jetscale_backend.log import reason
from jetscale_backend.settings import RedisSettings

log = logging.getLogger(__name__)

TIMEOUT_SECS = 1.0
WINDOW_SECS = 60
# Of one login from one address: room for who mistypes, and 14,400 guesses a day. A pod that is slow to verify
# still reaches it.
FAILURES_LIMIT = 10
# Of one address at all logins together: an office may be behind it, and nobody tries one password at all
# logins. It also ends what one address takes of the line to a verification: 3 s a minute, at 33 a second.
ADDRESS_LIMIT = 60
# Of one login from all addresses together. Who guesses from many has soon reached it, and from then on each
# of them has fewer guesses. It never refuses by itself: a stranger would lock the owner out.
LOGIN_LIMIT = 60
ATTACKED_LIMIT = 2


def connect(settings: RedisSettings) -> Redis:
    """A client connects on first use, so the service starts without redis."""
    options = {}
    if settings.url.startswith("rediss://"):
        tls.verifying(settings.ca_file)  # A file that is no CA ends the start, not each connection.
        options = {"ssl_cert_reqs": "required", "ssl_check_hostname": True, "ssl_ca_certs": settings.ca_file}
    if settings.user is not None:
        options["username"] = settings.user
    if settings.password is not None:
        options["password"] = settings.password
    return Redis.from_url(
        settings.url,
        **options,
        socket_connect_timeout=TIMEOUT_SECS,
        socket_timeout=TIMEOUT_SECS,
        # Once more, at once: a pooled connection may have died with the last redis.
        retry=Retry(NoBackoff(), 1),
    )


@dataclass(frozen=True)
class Failures:
    """How many sign-ins failed within the minute."""

    of_login_from_address: int = 0
    of_address: int = 0
    of_login: int = 0

    def too_many(self) -> bool:
        """Whether one more is not answered. Without failures of one's own address it always is."""
        limit = FAILURES_LIMIT if self.of_login < LOGIN_LIMIT else ATTACKED_LIMIT
        return self.of_login_from_address >= limit or self.of_address >= ADDRESS_LIMIT


class FailedSignIns:
    """Counts them in redis. Fails open: without it, people still sign in."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        self._redis = redis
        self._prefix = prefix

    async def seen(self, login: str, address: str) -> Failures:
        try:
            async with asyncio.timeout(TIMEOUT_SECS):
                async with self._redis.pipeline(transaction=True) as pipeline:
                    for key in self._keys(login, address):
                        pipeline.get(key)
                    return Failures(*(int(count or 0) for count in await pipeline.execute()))
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("failed sign-ins are not limited: %s", reason(error))
            return Failures()

    async def record(self, login: str, address: str) -> Failures:
        """Counts one more; how many there were before it."""
        try:
            async with asyncio.timeout(TIMEOUT_SECS):
                async with self._redis.pipeline(transaction=True) as pipeline:
                    for key in self._keys(login, address):
                        pipeline.incr(key).expire(key, WINDOW_SECS, nx=True)
                    counts = (await pipeline.execute())[::2]
                    return Failures(*(count - 1 for count in counts))
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("a failed sign-in was not counted: %s", reason(error))
            return Failures()

    def _keys(self, login: str, address: str) -> tuple[str, str, str]:
        # In the order of the fields of Failures. No login has a line break.
        return (
            self._key("login-from-address", f"{login}\n{address}"),
            self._key("address", address),
            self._key("login", login),
        )

    def _key(self, kind: str, whose: str) -> str:
        # Hashed: bounded in length, and no login in redis.
        return f"{self._prefix}failed-sign-ins:{kind}:{hashlib.sha256(whose.encode()).hexdigest()}"
