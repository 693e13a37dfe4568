"""Liveness, readiness, and which build this is."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel

from jetscale_backend.envelope import Data
from jetscale_backend.log import reason
from jetscale_backend.settings import Version

log = logging.getLogger(__name__)

# Below what a probe waits (4 s): on a busy node a store is slow, and not down.
CHECK_TIMEOUT_SECS = 3.0

# Public hosts answer readiness too: fixed words, the reasons go to the log.
State = Literal["ok", "down", "refused"]
Check = Callable[[], Awaitable[None]]


class Refused(Exception):
    """It answers, and does not let us: no waiting heals that."""


class Status(BaseModel):
    status: str


class Readiness(BaseModel):
    status: Literal["ok", "down"]
    components: dict[str, State]


class InstanceStatus(Status):
    instance: str


class VersionBody(BaseModel):
    version: str
    git_sha: str
    git_ref: str
    build_time: str
    instance: str


def instance() -> str:
    """Which of several processes answers: in Kubernetes the pod's name, which is its host name."""
    return socket.gethostname()


class ReadinessProbe:
    """Asks every dependency at once and logs a state only when it changes."""

    def __init__(self, checks: Mapping[str, Check], timeout_secs: float = CHECK_TIMEOUT_SECS) -> None:
        self._checks = dict(checks)
        self._timeout_secs = timeout_secs
        self._last: dict[str, State] = {}
        self._running: set[asyncio.Future[None]] = set()

    async def read(self) -> Readiness:
        states = await asyncio.gather(*(self._state(name) for name in self._checks))
        components = dict(zip(self._checks, states, strict=True))
        ready = all(state == "ok" for state in states)
        return Readiness(status="ok" if ready else "down", components=components)

    async def _state(self, name: str) -> State:
        try:
            await self._answer_in_time(name)
        except Exception as error:
            state: State = "refused" if isinstance(error, Refused) else "down"
            self._note(name, state, reason(error))
            return state
        self._note(name, "ok", "answers")
        return "ok"

    async def _answer_in_time(self, name: str) -> None:
        # Not asyncio.timeout(): that waits for a cancelled check to clean up, and
        # closing a connection to a frozen server takes seconds more.
        check = asyncio.ensure_future(self._checks[name]())
        self._running.add(check)
        check.add_done_callback(self._forget)
        await asyncio.wait({check}, timeout=self._timeout_secs)
        if not check.done():
            check.cancel()
            raise TimeoutError(f"no answer within {self._timeout_secs} s")
        check.result()

    def _forget(self, check: asyncio.Future[None]) -> None:
        self._running.discard(check)
        if not check.cancelled():
            check.exception()  # Seen, or asyncio would complain of it.

    def _note(self, name: str, state: State, why: str) -> None:
        if self._last.get(name) == state:
            return
        self._last[name] = state
        log.log(logging.INFO if state == "ok" else logging.WARNING, "%s is %s: %s", name, state, why)


def live_router() -> APIRouter:
    router = APIRouter(prefix="/api/v2/system", tags=["system"])

    @router.get("/live")
    async def live() -> Data[Status]:
        return Data(data=Status(status="ok"))

    return router


def api_health_router(probe: ReadinessProbe, version: Version) -> APIRouter:
    router = APIRouter(prefix="/api/v2/system", tags=["system"])

    @router.get("/ready", responses={503: {"model": Data[Readiness], "description": "A component is down"}})
    async def ready(response: Response) -> Data[Readiness]:
        readiness = await probe.read()
        if readiness.status != "ok":
            response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
        return Data(data=readiness)

    @router.get("/version")
    async def build() -> Data[VersionBody]:
        return Data(
            data=VersionBody(
                version=version.version,
                git_sha=version.git_sha,
                git_ref=version.git_ref,
                build_time=version.build_time,
                instance=instance(),
            )
        )

    return router
