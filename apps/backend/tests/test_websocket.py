"""By a real server: a refused handshake is the server's doing as much as the app's."""

import asyncio
import json
import os
import socket
import subprocess
import sys

import httpx
import pytest
import uvicorn
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from jetscale_backend.settings import WebsocketSettings
from jetscale_backend.websocket import create_websocket
from tests.conftest import KEY, LOGIN


@pytest.fixture
async def address():
    app = create_websocket(WebsocketSettings(jwt_key=KEY))
    config = uvicorn.Config(app, port=0, ws="websockets-sansio", log_level="warning", lifespan="off")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 (uvicorn offers no event)
        await asyncio.sleep(0.01)
    yield f"127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    await serving


async def test_ready_and_live(address):
    async with httpx.AsyncClient(base_url=f"http://{address}") as client:
        ready = (await client.get("/api/v2/system/ws/ready")).json()
        assert ready == {"data": {"status": "healthy", "instance": socket.gethostname()}}
        assert (await client.get("/api/v2/system/live")).status_code == 200


async def test_echo_with_a_token_in_header_or_query(address, tokens):
    token = tokens.issue(LOGIN)
    url = f"ws://{address}/api/v1/ws"
    for target, headers in ((url, {"Authorization": f"Bearer {token}"}), (f"{url}?token={token}", {})):
        async with connect(target, additional_headers=headers) as socket:
            await socket.send("hello")
            assert json.loads(await socket.recv()) == {"type": "echo", "data": "hello"}


@pytest.mark.parametrize("query", ["", "?token=", "?token=bad"])
async def test_without_a_valid_token_the_handshake_is_refused(address, query):
    with pytest.raises(InvalidStatus) as error:
        async with connect(f"ws://{address}/api/v1/ws{query}"):
            pass
    assert error.value.response.status_code == 403


def test_a_component_imports_what_it_needs():
    script = "import sys; from jetscale_backend.app import create_app; create_app(); print(*sys.modules)"
    env = {"PATH": os.environ["PATH"], "JETSCALE_COMPONENT": "websocket", "JETSCALE_JWT_SECRET_KEY": KEY}
    result = subprocess.run(  # noqa: S603
        [sys.executable, "-c", script], env=env, capture_output=True, text=True, timeout=60, check=True
    )
    assert not {"sqlalchemy", "redis", "alembic", "botocore", "argon2"} & set(result.stdout.split())
