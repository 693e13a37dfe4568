"""The WebSocket service: an echo for whoever has a token."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI, WebSocket, WebSocketDisconnect, status

from jetscale_backend.application import application
from jetscale_backend.envelope import Data
from jetscale_backend.health import InstanceStatus, instance, live_router
from jetscale_backend.settings import WebsocketSettings
from jetscale_backend.tokens import InvalidToken, Tokens, bearer_token


def create_websocket(settings: WebsocketSettings) -> FastAPI:
    # The router sends /docs and /openapi.json to the api.
    return application(live_router(), websocket_router(Tokens(settings.jwt_key)), openapi_url=None)


def websocket_router(tokens: Tokens) -> APIRouter:
    router = APIRouter(tags=["websocket"])

    @router.get("/api/v2/system/ws/ready")
    async def ready() -> Data[InstanceStatus]:
        # A token is checked by its signature: this service depends on nothing else.
        return Data(data=InstanceStatus(status="healthy", instance=instance()))

    @router.websocket("/api/v1/ws")
    async def echo(websocket: WebSocket) -> None:
        if not _is_authenticated(websocket, tokens):
            # Closed before it is accepted: the client's handshake gets HTTP 403.
            await websocket.close()
            return
        await websocket.accept()
        try:
            await _echo(websocket)
        except WebSocketDisconnect:
            pass

    return router


async def _echo(websocket: WebSocket) -> None:
    while True:
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            return
        text = message.get("text")
        if text is None:
            await websocket.close(status.WS_1003_UNSUPPORTED_DATA)
            return
        await websocket.send_json({"type": "echo", "data": text})


def _is_authenticated(websocket: WebSocket, tokens: Tokens) -> bool:
    # A browser cannot set a header on a WebSocket, hence the query parameter.
    token = bearer_token(websocket.headers.get("Authorization")) or websocket.query_params.get("token")
    if not token:
        return False
    try:
        tokens.login(token)
    except InvalidToken:
        return False
    return True
