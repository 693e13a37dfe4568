import pytest

from tests.conftest import PASSWORD


async def test_unknown_path_and_wrong_method(client):
    missing = await client.get("/nope")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "not_found")
    wrong = await client.delete("/api/v2/system/live")
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (405, "method_not_allowed")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"password": PASSWORD}, "login"),
        ({"login": "a\x00b", "password": PASSWORD}, "login"),
        ({"login": "a", "password": PASSWORD, "extra": 1}, "extra"),
        ([], "body"),
    ],
)
async def test_a_refused_body_names_the_field_and_keeps_the_password(client, body, field):
    response = await client.post("/api/v2/auth/sign-in", json=body)
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (422, "validation_failed")
    assert [problem["field"] for problem in error["fields"]] == [field]
    assert error["message"].startswith(f"{field}: ")
    assert PASSWORD not in response.text


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 422, "validation_failed"),
        (b'{"login": "a", "password": "\\ud800"}', 422, "validation_failed"),
        # Not even text: FastAPI refuses it before any validation.
        (b"\xff", 400, "bad_request"),
    ],
)
async def test_broken_json_is_the_clients_error(client, body, status, code):
    headers = {"Content-Type": "application/json"}
    response = await client.post("/api/v2/auth/sign-in", content=body, headers=headers)
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)


async def test_an_unexpected_error_tells_nothing(client, items, bearer):
    async def broken(prefix: str, limit: int) -> None:
        raise RuntimeError("inside")

    items.list = broken
    response = await client.get("/api/v2/items", headers=bearer)
    assert (response.status_code, response.json()["error"]["code"]) == (500, "internal_error")
    assert "inside" not in response.text


async def test_docs_and_schema(client):
    assert (await client.get("/docs")).status_code == 200
    paths = (await client.get("/openapi.json")).json()["paths"]
    assert "/api/v2/items/{item_id}" in paths
