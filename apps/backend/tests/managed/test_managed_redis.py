import pytest
from redis.exceptions import AuthenticationError, NoPermissionError
from redis.exceptions import ConnectionError as RedisConnectionError

from jetscale_backend import settings
from jetscale_backend.cache import FAILURES_LIMIT, FailedSignIns, Failures, connect
from tests.managed.conftest import NAME, OTHER


@pytest.fixture
async def redis_of():
    clients = []

    def client(env):
        clients.append(connect(settings.redis_settings(env)))
        return clients[-1]

    yield client
    for one in clients:
        await one.aclose()


async def test_a_user_limited_to_a_prefix_can_do_all_that_the_backend_does(redis_of, redis_env, redis_server):
    redis = redis_of(redis_env)
    await redis.ping()
    failures = FailedSignIns(redis, settings.redis_settings(redis_env).prefix)
    guess = ("ada@example.test", "203.0.113.9")
    for before in range(FAILURES_LIMIT):
        assert await failures.seen(*guess) == Failures(before, before, before)
        assert await failures.record(*guess) == Failures(before, before, before)
    assert (await failures.seen(*guess)).too_many()
    # The same login from elsewhere, and another login from there.
    assert await failures.seen(guess[0], "198.51.100.7") == Failures(0, 0, FAILURES_LIMIT)
    assert await failures.seen("eve@example.test", guess[1]) == Failures(0, FAILURES_LIMIT, 0)

    keys = redis_server.admin.keys()
    assert len(keys) == 3
    assert {key.decode().split(":")[0] for key in keys} == {NAME}
    assert all(0 < redis_server.admin.ttl(key) <= 60 for key in keys)


async def test_without_redis_nothing_is_limited(redis_of, redis_env):
    gone = {**redis_env, "JETSCALE_REDIS_URL": "rediss://localhost:1/0"}
    failures = FailedSignIns(redis_of(gone), "jetscale:")
    assert await failures.record("ada@example.test", "203.0.113.9") == Failures()
    assert await failures.seen("ada@example.test", "203.0.113.9") == Failures()


async def test_it_cannot_read_or_list_or_destroy_what_is_anothers(redis_of, redis_env, redis_server):
    redis_server.admin.set(f"{OTHER}:secret", "hidden", ex=60)
    redis = redis_of(redis_env)
    elsewhere = [["GET", f"{OTHER}:secret"], ["INCR", f"{OTHER}:secret"], ["GET", f"{NAME}-x"]]
    of_all = [["KEYS", "*"], ["SCAN", "0"], ["FLUSHALL"], ["CONFIG", "GET", "*"], ["ACL", "LIST"]]
    for command in elsewhere + of_all:
        with pytest.raises(NoPermissionError):
            await redis.execute_command(*command)


async def test_a_wrong_password_is_refused(redis_of, redis_env):
    with pytest.raises(AuthenticationError):
        await redis_of({**redis_env, "JETSCALE_REDIS_PASSWORD": "wrong"}).ping()


async def test_another_ca_and_another_host_are_refused(redis_of, redis_env, redis_server, certificates):
    for wrong in (
        {"JETSCALE_REDIS_CA_FILE": certificates.other_ca},
        {"JETSCALE_REDIS_CA_FILE": ""},
        {"JETSCALE_REDIS_URL": f"rediss://127.0.0.1:{redis_server.port}/0"},
    ):
        with pytest.raises(RedisConnectionError, match="certificate verify failed"):
            await redis_of({**redis_env, **wrong}).ping()
