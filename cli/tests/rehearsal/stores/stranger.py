"""Runs in a preview's api, with all that it has, and tries what is another's: `name result`, a line each."""

import asyncio
import dataclasses
import os
import sys

import asyncpg
import botocore.session
import redis
from botocore import UNSIGNED
from botocore.config import Config

from jetscale_backend import settings, tls
from jetscale_backend.object_store import ObjectStore

own, other, others_role = sys.argv[1:]
env = os.environ


def tell(name: str, attempt) -> None:
    try:
        attempt()
        result = "allowed"
    except Exception as error:  # noqa: BLE001 (which one it is, the reader judges)
        result = f"refused: {type(error).__name__}: {str(error).splitlines()[0]}"
    print(name, result, flush=True)


def database(name: str, user: str) -> None:
    async def ask() -> None:
        context = tls.verifying(env["JETSCALE_DB_CA_FILE"])
        connection = await asyncpg.connect(
            host=env["JETSCALE_DB_HOST"],
            port=int(env.get("JETSCALE_DB_PORT", "5432")),
            user=user,
            password=env["JETSCALE_DB_PASSWORD"],
            database=name,
            ssl=context,
        )
        await connection.fetch("SELECT * FROM items LIMIT 1")
        await connection.close()

    asyncio.run(asyncio.wait_for(ask(), 20))


def cache() -> redis.Redis:
    asked = settings.redis_settings(env)
    return redis.Redis.from_url(
        asked.url, username=asked.user, password=asked.password, ssl_ca_certs=asked.ca_file, socket_timeout=20
    )


def objects(**options):
    asked = settings.storage_settings(env)
    config = Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required", **options)
    session = botocore.session.get_session()
    session.set_config_variable("region", asked.region)
    client = session.create_client("s3", endpoint_url=asked.endpoint, config=config)
    return client, asked.bucket


def put(name: str, **options) -> None:
    client, bucket = objects(**options)
    client.put_object(Bucket=bucket, Key=f"{name}/probe", Body=b"x")


def read(name: str) -> None:
    client, bucket = objects()
    client.get_object(Bucket=bucket, Key=f"{name}/probe")


def list_all() -> None:
    client, bucket = objects()
    client.list_objects_v2(Bucket=bucket)


def as_another() -> None:
    env["AWS_ROLE_ARN"] = others_role
    asyncio.run(ObjectStore(dataclasses.replace(settings.storage_settings(env))).check())


tell("own-database", lambda: database(own, env["JETSCALE_DB_USER"]))
tell("others-database", lambda: database(other, env["JETSCALE_DB_USER"]))
tell("others-role", lambda: database(other, other))
tell("own-key", lambda: cache().incr(f"{own}:probe"))
tell("others-key", lambda: cache().get(f"{other}:probe"))
tell("all-keys", lambda: cache().keys("*"))
tell("own-object", lambda: put(own))
tell("own-object-read", lambda: read(own))
tell("others-object", lambda: read(other))
tell("others-object-written", lambda: put(other))
tell("all-objects", list_all)
tell("a-stranger", lambda: put(own, signature_version=UNSIGNED))
tell("others-identity", as_another)
