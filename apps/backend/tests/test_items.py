import uuid

import pytest

PATH = "/api/v2/items"


async def test_create_read_list_delete(client, bearer):
    created = await client.post(PATH, json={"name": "red chair"}, headers=bearer)
    item = created.json()["data"]
    assert created.status_code == 201
    assert (set(item), item["name"]) == ({"id", "name", "created_at"}, "red chair")

    read = await client.get(f"{PATH}/{item['id']}", headers=bearer)
    assert read.json()["data"] == item
    found = await client.get(PATH, params={"prefix": "red"}, headers=bearer)
    assert found.json() == {"data": [item]}
    assert (await client.get(PATH, params={"prefix": "blue"}, headers=bearer)).json() == {"data": []}

    assert (await client.delete(f"{PATH}/{item['id']}", headers=bearer)).status_code == 204
    assert (await client.get(f"{PATH}/{item['id']}", headers=bearer)).status_code == 404


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_an_absent_item(client, bearer, method):
    response = await client.request(method, f"{PATH}/{uuid.uuid4()}", headers=bearer)
    assert (response.status_code, response.json()["error"]["code"]) == (404, "item_not_found")


@pytest.mark.parametrize("name", ["", "x" * 101, "a\x00", 5, None])
async def test_names_that_are_refused(client, bearer, name):
    assert (await client.post(PATH, json={"name": "x" * 100}, headers=bearer)).status_code == 201
    response = await client.post(PATH, json={"name": name}, headers=bearer)
    assert response.json()["error"]["fields"][0]["field"] == "name"


@pytest.mark.parametrize(("method", "path"), [("GET", PATH), ("POST", PATH), ("DELETE", f"{PATH}/x")])
async def test_a_token_comes_before_everything_else(client, bearer, method, path):
    assert (await client.request(method, path)).status_code == 401
    assert (await client.request(method, path, headers=bearer)).status_code in (200, 422)
