"""One factory for uvicorn: the component that the environment names."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING

from jetscale_backend import log
from jetscale_backend.settings import SettingsError, api_settings, component, environment, websocket_settings

if TYPE_CHECKING:
    from fastapi import FastAPI


def create_app() -> FastAPI:
    log.configure()
    env = environment()
    # Imports make many objects and no garbage: to search them over and over took a seventh of the start.
    gc.disable()
    # Imported here: each start imports what its component needs, and not the other's.
    try:
        if component(env) == "websocket":
            from jetscale_backend.websocket import create_websocket

            return create_websocket(websocket_settings(env))
        from jetscale_backend.api import create_api

        return create_api(api_settings(env))
    except TypeError as error:
        # uvicorn takes one for a factory that cannot be called, and says neither file nor line.
        raise RuntimeError(f"TypeError: {error}") from error
    except SettingsError as error:
        # One line, and no traceback above it to search through.
        sys.exit(f"jetscale-backend: {error}")
    finally:
        gc.enable()
