"""What the components that answer HTTP have in common."""

from __future__ import annotations

import re

from fastapi import APIRouter, FastAPI

from jetscale_backend.bodies import BodyLimit
from jetscale_backend.envelope import ErrorBody, install_error_handlers


def application(
    *routers: APIRouter, larger_bodies: tuple[str, re.Pattern[str]] | None = None, **options
) -> FastAPI:
    app = FastAPI(
        title="JetScale backend",
        redoc_url=None,
        # A redirect would name this server's own host, not the one the client asked.
        redirect_slashes=False,
        responses={
            413: {"model": ErrorBody, "description": "The body is too large"},
            422: {"model": ErrorBody, "description": "Which fields were refused, and why"},
        },
        **options,
    )
    install_error_handlers(app)
    app.add_middleware(BodyLimit, larger=larger_bodies)
    for router in routers:
        app.include_router(router)
    return app
