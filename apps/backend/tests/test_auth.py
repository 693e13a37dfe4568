import asyncio
from datetime import UTC, datetime, timedelta

import jwt
import pytest

from jetscale_backend.cache import ADDRESS_LIMIT, ATTACKED_LIMIT, FAILURES_LIMIT, LOGIN_LIMIT, Failures
from jetscale_backend.tokens import LIFETIME, InvalidToken, Tokens, bearer_token
from tests.conftest import KEY, LOGIN, PASSWORD

OWNER = "198.51.100.7"
STRANGER = "203.0.113.9"


async def sign_in(client, login, password, address=OWNER):
    headers = {"X-Forwarded-For": address}
    return await client.post(
        "/api/v2/auth/sign-in", json={"login": login, "password": password}, headers=headers
    )


async def test_sign_in_then_me(client):
    response = await sign_in(client, f" {LOGIN.upper()}", PASSWORD)
    token_set = response.json()["data"]["tokens"]
    assert response.status_code == 200
    assert (token_set["token_type"], token_set["expires_in"]) == ("Bearer", 3600)

    headers = {"Authorization": f"Bearer {token_set['access_token']}"}
    me = await client.get("/api/v2/auth/me", headers=headers)
    assert me.json() == {"data": {"login": LOGIN}}


async def test_unknown_login_and_wrong_password_look_the_same(client, failures):
    unknown = await sign_in(client, "nobody@example.test", PASSWORD)
    wrong = await sign_in(client, LOGIN, "wrong")
    assert unknown.status_code == wrong.status_code == 401
    assert unknown.json() == wrong.json()
    assert failures.recorded == [("nobody@example.test", OWNER), (LOGIN, OWNER)]


async def test_too_many_failures_are_refused(client):
    for _ in range(FAILURES_LIMIT):
        assert (await sign_in(client, LOGIN, "wrong")).status_code == 401
    response = await sign_in(client, LOGIN, PASSWORD)
    assert (response.status_code, response.headers["Retry-After"]) == (429, "60")
    assert response.json()["error"]["code"] == "too_many_attempts"


@pytest.mark.parametrize("strangers", [1, 7])
async def test_a_stranger_locks_nobody_out(client, strangers):
    """However often, and from however many addresses: the owner's first try from elsewhere is looked at."""
    for stranger in range(strangers):
        for _ in range(FAILURES_LIMIT + 1):
            refused = await sign_in(client, LOGIN, "wrong", f"203.0.113.{stranger}")
        assert refused.status_code == 429
    assert (await sign_in(client, LOGIN, PASSWORD)).status_code == 200


async def test_who_writes_the_header_is_counted_all_the_same(client):
    answers = [
        (await sign_in(client, LOGIN, "wrong", f"192.0.2.{guess}, {STRANGER}")).status_code
        for guess in range(FAILURES_LIMIT + 1)
    ]
    assert answers == [401] * FAILURES_LIMIT + [429]
    assert (await sign_in(client, LOGIN, PASSWORD, f"{STRANGER}, {OWNER}")).status_code == 200


async def test_guesses_sent_at_once_are_limited_too(client):
    answers = await asyncio.gather(*(sign_in(client, LOGIN, "wrong") for _ in range(3 * FAILURES_LIMIT)))
    assert [answer.status_code for answer in answers].count(401) == FAILURES_LIMIT


@pytest.mark.parametrize(
    ("failures", "too_many"),
    [
        (Failures(), False),
        (Failures(FAILURES_LIMIT - 1, FAILURES_LIMIT - 1, FAILURES_LIMIT - 1), False),
        (Failures(FAILURES_LIMIT, FAILURES_LIMIT, FAILURES_LIMIT), True),
        (Failures(0, ADDRESS_LIMIT - 1, 0), False),
        (Failures(0, ADDRESS_LIMIT, 0), True),
        (Failures(ATTACKED_LIMIT, ATTACKED_LIMIT, LOGIN_LIMIT - 1), False),
        (Failures(ATTACKED_LIMIT, ATTACKED_LIMIT, LOGIN_LIMIT), True),
        # Whatever others do.
        (Failures(0, 0, 1000 * LOGIN_LIMIT), False),
    ],
)
def test_how_many_failures_are_too_many(failures, too_many):
    assert failures.too_many() is too_many


@pytest.mark.parametrize("header", [None, "Bearer", "Bearer x", "Basic YTpi"])
async def test_me_without_a_valid_token(client, header):
    headers = {"Authorization": header} if header else {}
    response = await client.get("/api/v2/auth/me", headers=headers)
    assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, "Bearer")


def test_a_token_has_subject_and_times(tokens):
    claims = jwt.decode(tokens.issue(LOGIN), KEY, ["HS256"])
    assert claims["sub"] == LOGIN
    assert claims["exp"] - claims["iat"] == LIFETIME.total_seconds()


# Made as the bad ones below are, so that those are refused for what is wrong with them.
@pytest.mark.parametrize(
    "token",
    [Tokens(KEY).issue(LOGIN), jwt.encode({"sub": LOGIN, "iat": 1, "exp": 9999999999}, KEY, "HS256")],
    ids=["issued", "encoded"],
)
def test_good_tokens_are_taken(tokens, token):
    assert tokens.login(token) == LOGIN


@pytest.mark.parametrize(
    "token",
    [
        "x",
        Tokens("o" * 32).issue(LOGIN),
        Tokens(KEY).issue(LOGIN, now=datetime.now(UTC) - timedelta(hours=2)),
        jwt.encode({"sub": LOGIN, "iat": 1}, KEY, "HS256"),
        jwt.encode({"sub": LOGIN, "iat": 1, "exp": 9999999999}, None, "none"),
    ],
    ids=["garbage", "other key", "expired", "without exp", "unsigned"],
)
def test_bad_tokens_are_refused(tokens, token):
    with pytest.raises(InvalidToken):
        tokens.login(token)


@pytest.mark.parametrize(
    ("header", "token"),
    [("Bearer abc", "abc"), ("bearer abc", "abc"), ("Bearer ", None), ("Basic abc", None), (None, None)],
)
def test_bearer_token(header, token):
    assert bearer_token(header) == token
