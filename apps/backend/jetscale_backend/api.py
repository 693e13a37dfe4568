"""The api: its parts put together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from fastapi import FastAPI

from jetscale_backend.accounts import Accounts
from jetscale_backend.application import application
from jetscale_backend.attachments import LARGER_BODIES, Attachments, StoredAttachments, attachments_router
from jetscale_backend.auth import Authenticator, CurrentLogin, auth_router
from jetscale_backend.cache import FailedSignIns, connect
from jetscale_backend.database import Database
from jetscale_backend.health import Check, ReadinessProbe, api_health_router, live_router
from jetscale_backend.items import ItemStore, StoredItems, items_router
from jetscale_backend.object_store import ObjectStore
from jetscale_backend.passwords import PasswordVerifier
from jetscale_backend.settings import ApiSettings, Version
from jetscale_backend.tokens import Tokens


def create_api(settings: ApiSettings) -> FastAPI:
    database = Database(settings.database)
    redis = connect(settings.redis)
    tokens = Tokens(settings.jwt_key)
    items = StoredItems(database)

    async def ping_redis() -> None:
        await redis.ping()

    checks: dict[str, Check] = {"database": database.check, "redis": ping_redis}
    attachments = None
    if settings.storage is not None:
        objects = ObjectStore(settings.storage)
        checks["object_store"] = objects.check
        attachments = Attachments(items, StoredAttachments(database), objects)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await database.close()
        await redis.aclose()

    return assemble_api(
        checks=checks,
        version=settings.version,
        authenticator=Authenticator(
            accounts=Accounts(database),
            failures=FailedSignIns(redis, settings.redis.prefix),
            passwords=PasswordVerifier(),
            tokens=tokens,
        ),
        items=items,
        attachments=attachments,
        proxies=settings.proxies,
        lifespan=lifespan,
    )


def assemble_api(
    *,
    checks: Mapping[str, Check],
    version: Version,
    authenticator: Authenticator,
    items: ItemStore,
    attachments: Attachments | None = None,
    proxies: int = 0,
    lifespan=None,
) -> FastAPI:
    """The api's routes over whatever stands behind them."""
    current_login = CurrentLogin(authenticator.tokens)
    routers = [
        live_router(),
        api_health_router(ReadinessProbe(checks), version),
        auth_router(authenticator, current_login, proxies),
    ]
    if attachments is None:
        routers.append(items_router(items, current_login))
    else:
        routers.append(items_router(items, current_login, attachments.before_delete))
        routers.append(attachments_router(attachments, current_login))
    return application(
        *routers,
        version=version.version,
        larger_bodies=LARGER_BODIES,
        lifespan=lifespan,
    )
