"""What the components that answer HTTP have in common."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI

from jetscale_backend.envelope import ErrorBody, install_error_handlers


def application(*routers: APIRouter, **options) -> FastAPI:
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
