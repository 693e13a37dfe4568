import asyncio
import logging
import socket
import time

from jetscale_backend.health import ReadinessProbe, Refused


async def test_live_and_version(client):
    assert (await client.get("/api/v2/system/live")).json() == {"data": {"status": "ok"}}
    assert (await client.get("/api/v2/system/version")).json() == {
        "data": {
            "version": "1.2.3",
            "git_sha": "0123abc-dirty",
            "git_ref": "main",
            "build_time": "2030-01-01T00:00:00Z",
            "instance": socket.gethostname(),
        }
    }


async def test_ready_follows_its_components(client, redis):
    ready = await client.get("/api/v2/system/ready")
    assert ready.status_code == 200
    assert ready.json()["data"] == {"status": "ok", "components": {"database": "ok", "redis": "ok"}}

    redis.error = ConnectionError("10.0.0.1 refused")
    down = await client.get("/api/v2/system/ready")
    assert down.status_code == 503
    assert down.json()["data"] == {"status": "down", "components": {"database": "ok", "redis": "down"}}

    redis.error = Refused("by 10.0.0.1, whose password is hidden")
    refused = await client.get("/api/v2/system/ready")
    assert refused.json()["data"] == {"status": "down", "components": {"database": "ok", "redis": "refused"}}

    redis.error = None
    assert (await client.get("/api/v2/system/ready")).status_code == 200


async def test_a_check_that_hangs_is_down_in_time_even_if_its_cleanup_hangs():
    async def hang() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(60)

    started = time.monotonic()
    readiness = await ReadinessProbe({"database": hang}, timeout_secs=0.05).read()
    assert readiness.components == {"database": "down"}
    # Neither minute was waited for, however busy the machine is.
    assert time.monotonic() - started < 30


async def test_only_a_change_of_state_is_logged(caplog):
    async def fail() -> None:
        raise OSError("no route")

    caplog.set_level(logging.INFO)
    probe = ReadinessProbe({"redis": fail})
    await probe.read()
    await probe.read()
    assert [record.getMessage() for record in caplog.records] == ["redis is down: OSError: no route"]
