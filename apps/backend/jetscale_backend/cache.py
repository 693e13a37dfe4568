"""Redis: the connection, and the count of failed sign-ins kept in it."""

from __future__ import annotations

import asyncio
import hashlib
import logging

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from jetscale_backend import tls
from jetscale_backend.log import reason
from jetscale_backend.settings import RedisSettings

log = logging.getLogger(__name__)

TIMEOUT_SECS = 1.0
# Room for who mistypes, and 14,400 guesses a day. A pod that is slow to verify still reaches it.
FAILURES_LIMIT = 10
WINDOW_SECS = 60


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


class FailedSignIns:
    """How often a login failed within the minute. Fails open: without redis, people still sign in."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        self._redis = redis
        self._prefix = prefix

    async def exceeded(self, login: str) -> bool:
        try:
            async with asyncio.timeout(TIMEOUT_SECS):
                return int(await self._redis.get(self._key(login)) or 0) >= FAILURES_LIMIT
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("failed sign-ins are not limited: %s", reason(error))
            return False

    async def record(self, login: str) -> None:
        key = self._key(login)
        try:
            async with asyncio.timeout(TIMEOUT_SECS):
                async with self._redis.pipeline(transaction=True) as pipeline:
                    await pipeline.incr(key).expire(key, WINDOW_SECS, nx=True).execute()
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("a failed sign-in was not counted: %s", reason(error))

    def _key(self, login: str) -> str:
        # Hashed: bounded in length, and no address in redis.
        return f"{self._prefix}failed-sign-ins:{hashlib.sha256(login.encode()).hexdigest()}"
