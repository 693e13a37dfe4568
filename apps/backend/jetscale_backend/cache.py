"""Redis: the connection, and the count of failed sign-ins kept in it."""

from __future__ import annotations

import asyncio
import hashlib
import logging

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from jetscale_backend.log import reason

log = logging.getLogger(__name__)

TIMEOUT_SECS = 1.0
FAILURES_LIMIT = 50
WINDOW_SECS = 60


def connect(url: str) -> Redis:
    """A client connects on first use, so the service starts without redis."""
    return Redis.from_url(
        url,
        socket_connect_timeout=TIMEOUT_SECS,
        socket_timeout=TIMEOUT_SECS,
        # Once more, at once: a pooled connection may have died with the last redis.
        retry=Retry(NoBackoff(), 1),
    )


class FailedSignIns:
    """How often a login failed within the minute. Fails open: without redis, people still sign in."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def exceeded(self, login: str) -> bool:
        try:
            async with asyncio.timeout(TIMEOUT_SECS):
                return int(await self._redis.get(_key(login)) or 0) >= FAILURES_LIMIT
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("failed sign-ins are not limited: %s", reason(error))
            return False

    async def record(self, login: str) -> None:
        key = _key(login)
        try:
            async with asyncio.timeout(TIMEOUT_SECS):
                async with self._redis.pipeline(transaction=True) as pipeline:
                    await pipeline.incr(key).expire(key, WINDOW_SECS, nx=True).execute()
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("a failed sign-in was not counted: %s", reason(error))


def _key(login: str) -> str:
    # Hashed: bounded in length, and no address in redis.
    return f"jetscale:failed-sign-ins:{hashlib.sha256(login.encode()).hexdigest()}"
