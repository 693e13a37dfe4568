"""Puts the parts together: one factory for uvicorn, one for each component."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI

from jetscale_backend import log
from jetscale_backend.accounts import Accounts
from jetscale_backend.attachments import Attachments, StoredAttachments, attachments_router
from jetscale_backend.auth import Authenticator, CurrentLogin, auth_router
from jetscale_backend.cache import FailedSignIns, connect
from jetscale_backend.database import Database
from jetscale_backend.envelope import ErrorBody, install_error_handlers
from jetscale_backend.health import Check, ReadinessProbe, api_health_router, live_router
from jetscale_backend.items import ItemStore, StoredItems, items_router
from jetscale_backend.object_store import ObjectStore
from jetscale_backend.passwords import PasswordVerifier
from jetscale_backend.settings import (
    ApiSettings,
    SettingsError,
    Version,
    WebsocketSettings,
    api_settings,
    component,
    environment,
    websocket_settings,
)
from jetscale_backend.tokens import Tokens
from jetscale_backend.websocket import websocket_router


def create_app() -> FastAPI:
    """What uvicorn runs: the component that the environment names."""
    log.configure()
    env = environment()
    try:
        if component(env) == "websocket":
            return create_websocket(websocket_settings(env))
        return create_api(api_settings(env))
    except SettingsError as error:
        # One line, and no traceback above it to search through.
        sys.exit(f"jetscale-backend: {error}")


def create_api(settings: ApiSettings) -> FastAPI:
    database = Database(settings.database_url)
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
        lifespan=lifespan,
    )


def assemble_api(
    *,
    checks: Mapping[str, Check],
    version: Version,
    authenticator: Authenticator,
    items: ItemStore,
    attachments: Attachments | None = None,
    lifespan=None,
) -> FastAPI:
    """The api's routes over whatever stands behind them."""
    current_login = CurrentLogin(authenticator.tokens)
    routers = [
        live_router(),
        api_health_router(ReadinessProbe(checks), version),
        auth_router(authenticator, current_login),
    ]
    if attachments is None:
        routers.append(items_router(items, current_login))
    else:
        routers.append(items_router(items, current_login, attachments.before_delete))
        routers.append(attachments_router(attachments, current_login))
    return _application(
        *routers,
        version=version.version,
        lifespan=lifespan,
    )


def create_websocket(settings: WebsocketSettings) -> FastAPI:
    # The router sends /docs and /openapi.json to the api.
    return _application(live_router(), websocket_router(Tokens(settings.jwt_key)), openapi_url=None)


def _application(*routers: APIRouter, **options) -> FastAPI:
    app = FastAPI(
        title="JetScale backend",
        redoc_url=None,
        # A redirect would name this server's own host, not the one the client asked.
        redirect_slashes=False,
        responses={422: {"model": ErrorBody, "description": "Which fields were refused, and why"}},
        **options,
    )
    install_error_handlers(app)
    for router in routers:
        app.include_router(router)
    return app
