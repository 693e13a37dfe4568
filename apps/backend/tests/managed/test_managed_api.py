"""The api as a preview runs it, every store a managed one."""

import time
from contextlib import asynccontextmanager

import httpx
import pytest

from jetscale_backend import settings
from jetscale_backend.api import create_api
from jetscale_backend.attachments import ATTACHMENT_MAX_BYTES
from jetscale_backend.migrate import migrate
from jetscale_backend.tokens import Tokens
from tests.managed.conftest import BUCKET, NAME, OTHER

JWT_KEY = "k" * 32
ADMIN = {"login": "admin@example.test", "password": "correct horse"}


@pytest.fixture
def env(database_env, redis_env, pod):
    admin = {
        "JETSCALE_DEFAULT_ADMIN_EMAIL": ADMIN["login"],
        "JETSCALE_DEFAULT_ADMIN_PASSWORD": ADMIN["password"],
    }
    return {**database_env, **redis_env, **pod.env, **admin, "JETSCALE_JWT_SECRET_KEY": JWT_KEY}


@asynccontextmanager
async def serving(env):
    app = create_api(settings.api_settings(env))
    async with app.router.lifespan_context(app):
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            yield client


@pytest.fixture
async def api(env):
    await migrate(settings.migrate_settings(env))
    async with serving(env) as client:
        yield client


async def signed_in(api):
    tokens = (await api.post("/api/v2/auth/sign-in", json=ADMIN)).json()["data"]["tokens"]
    return {"Authorization": f"Bearer {tokens['access_token']}"}


async def new_item(api, owner):
    created = await api.post("/api/v2/items", json={"name": "with papers"}, headers=owner)
    return f"/api/v2/items/{created.json()['data']['id']}"


async def ready_with(api, state):
    """Readiness waits 3 s for an answer; the first makes the SDK's client, which may take longer."""
    deadline = time.monotonic() + 20
    while True:
        ready = await api.get("/api/v2/system/ready")
        if ready.json()["data"]["components"]["object_store"] == state or time.monotonic() > deadline:
            return ready.status_code, ready.json()["data"]


def stored(aws):
    listed = aws.client("s3").list_objects_v2(Bucket=BUCKET, Prefix=f"{NAME}/").get("Contents", [])
    return {one["Key"].removeprefix(f"{NAME}/") for one in listed} - {"ready"}


async def test_readiness_names_each_part(api):
    parts = {"database": "ok", "redis": "ok", "object_store": "ok"}
    assert await ready_with(api, "ok") == (200, {"status": "ok", "components": parts})


async def test_a_wrong_role_is_said_so_and_the_rest_goes_on(api, aws, monkeypatch):
    monkeypatch.setenv("AWS_ROLE_ARN", aws.make_role("of-another-preview", OTHER))
    parts = {"database": "ok", "redis": "ok", "object_store": "refused"}
    assert await ready_with(api, "refused") == (503, {"status": "down", "components": parts})

    owner = await signed_in(api)
    item = await new_item(api, owner)
    refused = await api.put(f"{item}/attachments/a.txt", content=b"a", headers=owner)
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "object_store_refused")
    assert (await api.get(f"{item}/attachments", headers=owner)).json() == {"data": []}
    assert (await api.delete(item, headers=owner)).status_code == 204


async def test_an_attachment_is_put_read_replaced_and_deleted(api, aws):
    owner = await signed_in(api)
    item = await new_item(api, owner)
    place = f"{item}/attachments/plan-1.txt"
    for content, kind in ((b"one", "text/plain"), (b"\x00" * ATTACHMENT_MAX_BYTES, "application/x-plan")):
        put = await api.put(place, content=content, headers={**owner, "Content-Type": kind})
        assert put.status_code == 200, put.text
        read = await api.get(place, headers=owner)
        assert (read.content, read.headers["Content-Type"]) == (content, kind)
        assert read.headers["Content-Disposition"] == 'attachment; filename="plan-1.txt"'
    listed = (await api.get(f"{item}/attachments", headers=owner)).json()["data"]
    assert [(one["name"], one["size"]) for one in listed] == [("plan-1.txt", ATTACHMENT_MAX_BYTES)]

    assert (await api.delete(place, headers=owner)).status_code == 204
    for method in ("GET", "DELETE"):
        gone = await api.request(method, place, headers=owner)
        assert (gone.status_code, gone.json()["error"]["code"]) == (404, "attachment_not_found")
    assert stored(aws) == set()


async def test_an_item_takes_its_attachments_with_it(api, aws):
    owner = await signed_in(api)
    item = await new_item(api, owner)
    for name in ("a", "b"):
        await api.put(f"{item}/attachments/{name}", content=b"x", headers=owner)
    assert len(stored(aws)) == 2

    stranger = {"Authorization": f"Bearer {Tokens(JWT_KEY).issue('eve@example.test')}"}
    refused = await api.delete(item, headers=stranger)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "not_the_owner")
    assert len(stored(aws)) == 2

    assert (await api.delete(item, headers=owner)).status_code == 204
    assert stored(aws) == set()
    assert (await api.get(f"{item}/attachments", headers=owner)).status_code == 404


async def test_a_store_that_goes_away_is_a_503(env):
    await migrate(settings.migrate_settings(env))
    async with serving({**env, "JETSCALE_S3_ENDPOINT": "http://127.0.0.1:1"}) as api:
        owner = await signed_in(api)
        item = await new_item(api, owner)
        put = await api.put(f"{item}/attachments/a", content=b"", headers=owner)
        assert (put.status_code, put.json()["error"]["code"]) == (503, "object_store_unavailable")
        assert put.headers["Retry-After"] == "2"
        ready = (await api.get("/api/v2/system/ready")).json()["data"]["components"]
        assert ready["object_store"] == "down"
        assert (await api.delete(item, headers=owner)).status_code == 204
