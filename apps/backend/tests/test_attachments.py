import uuid

import httpx
import pytest

from jetscale_backend.api import assemble_api
from jetscale_backend.attachments import ATTACHMENT_MAX_BYTES, Attachments
from jetscale_backend.auth import Authenticator
from jetscale_backend.database import Attachment
from jetscale_backend.passwords import PasswordVerifier
from jetscale_backend.settings import Version
from tests.conftest import LOGIN, FakeAccounts, FakeFailures


class FakeRows:
    def __init__(self):
        self.stored = {}

    async def put(self, item_id, name, content_type, size):
        row = Attachment(item_id=item_id, name=name, content_type=content_type, size=size)
        row.created_at = "2030-01-01T00:00:00Z"
        self.stored[item_id, name] = row
        return row

    async def list(self, item_id):
        return [row for (owner, _), row in self.stored.items() if owner == item_id]

    async def get(self, item_id, name):
        return self.stored.get((item_id, name))

    async def delete(self, item_id, name):
        del self.stored[item_id, name]


class FakeObjects:
    def __init__(self):
        self.stored = {}

    async def put(self, key, content, content_type):
        self.stored[key] = content

    async def get(self, key):
        return self.stored.get(key)

    async def delete(self, key):
        self.stored.pop(key, None)


@pytest.fixture
def rows():
    return FakeRows()


@pytest.fixture
def objects():
    return FakeObjects()


@pytest.fixture
async def api(tokens, items, rows, objects):
    app = assemble_api(
        checks={},
        version=Version("1", "0", "main", "now"),
        authenticator=Authenticator(FakeAccounts(), FakeFailures(), PasswordVerifier(), tokens),
        items=items,
        attachments=Attachments(items, rows, objects),
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        yield client


@pytest.fixture
async def place(items):
    item = await items.create("chair", LOGIN)
    return f"/api/v2/items/{item.id}/attachments"


async def test_without_an_object_store_there_are_no_attachments(client, bearer):
    place = f"/api/v2/items/{uuid.uuid4()}/attachments"
    assert (await client.get(place, headers=bearer)).json()["error"]["code"] == "not_found"
    assert not [path for path in (await client.get("/openapi.json")).json()["paths"] if "attach" in path]


@pytest.mark.parametrize(("method", "name"), [("GET", ""), ("PUT", "/a"), ("GET", "/a"), ("DELETE", "/a")])
async def test_only_the_owner_is_let_in(api, items, place, bearer, tokens, method, name):
    assert (await api.request(method, place + name)).status_code == 401
    stranger = {"Authorization": f"Bearer {tokens.issue('eve@example.test')}"}
    refused = await api.request(method, place + name, headers=stranger)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "not_the_owner")
    absent = await api.request(method, f"/api/v2/items/{uuid.uuid4()}/attachments{name}", headers=bearer)
    assert (absent.status_code, absent.json()["error"]["code"]) == (404, "item_not_found")


async def test_an_item_of_before_there_were_owners_is_nobodys(api, items, bearer):
    item = await items.create("old", None)
    assert (await api.get(f"/api/v2/items/{item.id}/attachments", headers=bearer)).status_code == 403
    assert (await api.delete(f"/api/v2/items/{item.id}", headers=bearer)).status_code == 204


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "streamed"])
async def test_too_large(api, objects, place, bearer, declared):
    async def body():
        for _ in range(6):
            yield b"x" * (1024 * 1024)

    content = b"x" * (ATTACHMENT_MAX_BYTES + 1) if declared else body()
    refused = await api.put(f"{place}/a", content=content, headers=bearer)
    assert (refused.status_code, refused.json()["error"]["code"]) == (413, "attachment_too_large")
    assert objects.stored == {}


@pytest.mark.parametrize("name", [".hidden", "a%2Fb", "..", "a b", "x" * 101, "a%00", 'a"'])
async def test_names_that_are_refused(api, objects, place, bearer, name):
    refused = await api.put(f"{place}/{name}", content=b"", headers=bearer)
    assert refused.status_code in (404, 405, 422)
    assert objects.stored == {}


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("text/plain; charset=utf-8", "text/plain; charset=utf-8"),
        ("nonsense", "application/octet-stream"),
        ("a/b" * 50, "application/octet-stream"),
        (None, "application/octet-stream"),
    ],
)
async def test_the_content_type_is_kept_if_it_is_one(api, place, bearer, sent, kept):
    headers = {**bearer, "Content-Type": sent} if sent else bearer
    await api.put(f"{place}/a", content=b"x", headers=headers)
    assert (await api.get(f"{place}/a", headers=bearer)).headers["Content-Type"] == kept


async def test_a_row_without_its_object_is_no_attachment(api, objects, place, bearer):
    await api.put(f"{place}/a", content=b"x", headers=bearer)
    objects.stored.clear()
    assert (await api.get(f"{place}/a", headers=bearer)).status_code == 404


async def test_an_item_that_vanishes_meanwhile_leaves_no_object(api, rows, objects, place, bearer):
    async def vanished(*_):
        return None

    rows.put = vanished
    assert (await api.put(f"{place}/a", content=b"x", headers=bearer)).status_code == 404
    assert objects.stored == {}
