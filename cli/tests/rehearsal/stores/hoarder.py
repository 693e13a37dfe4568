"""Runs in a preview's api, with all that it has, and makes of its database whatever might keep that.

It writes `name result`, a line each. Sessions stay open in a process that goes on.
"""

import asyncio
import os
import subprocess
import sys

import asyncpg
import botocore.session
from botocore.config import Config

from jetscale_backend import settings, tls

own, other = sys.argv[1:3]
env = os.environ

STATEMENTS = {
    # name: (database, statement)
    "table": (own, "CREATE TABLE hoard AS SELECT generate_series(1, 10) AS n"),
    "schema": (own, "CREATE SCHEMA hoard AUTHORIZATION CURRENT_USER"),
    "default-rights": (own, "ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC"),
    "rights": (own, "GRANT ALL ON hoard TO PUBLIC"),
    "large-object": (own, "SELECT lo_create(0)"),
    "prepared": (own, f"BEGIN; CREATE TABLE prepared (n int); PREPARE TRANSACTION 'its ''own'' {own}'"),
    "large-objects-elsewhere": ("postgres", "SELECT count(lo_create(0)) FROM generate_series(1, 2000)"),
    "prepared-elsewhere": ("postgres", f"BEGIN; SELECT lo_create(0); PREPARE TRANSACTION 'elsewhere {own}'"),
    "rights-of-another": (own, f'CREATE TABLE shared (n int); CREATE POLICY kept ON shared TO "{other}"'),
    "settings": (own, "ALTER ROLE CURRENT_USER SET search_path = hoard"),
    "template": (own, f'ALTER DATABASE "{own}" IS_TEMPLATE true'),
    "no-connections": (own, f'ALTER DATABASE "{own}" ALLOW_CONNECTIONS false'),
    "owner": (own, f'ALTER DATABASE "{own}" OWNER TO CURRENT_USER'),
    "name": (own, f'ALTER DATABASE "{own}" RENAME TO kept'),
    "database": (own, "CREATE DATABASE kept"),
    "role": (own, "CREATE ROLE kept"),
    "superuser": (own, "SET ROLE master"),
}


def connect(database: str):
    return asyncpg.connect(
        host=env["JETSCALE_DB_HOST"],
        port=int(env.get("JETSCALE_DB_PORT", "5432")),
        user=env["JETSCALE_DB_USER"],
        password=env["JETSCALE_DB_PASSWORD"],
        database=database,
        ssl=tls.verifying(env["JETSCALE_DB_CA_FILE"]),
    )


async def hoard() -> None:
    for name, (database, statement) in STATEMENTS.items():
        connection = await connect(database)
        try:
            await connection.execute(statement)
            result = "allowed"
        except asyncpg.PostgresError as error:
            result = f"refused: {type(error).__name__}"
        await connection.close()
        print(name, result, flush=True)


def put() -> None:
    """Keys that lead elsewhere where they are taken for paths, or that XML has no sign for."""
    asked = settings.storage_settings(env)
    config = Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required")
    session = botocore.session.get_session()
    session.set_config_variable("region", asked.region)
    client = session.create_client("s3", endpoint_url=asked.endpoint, config=config)
    for name, key in {"dot": ".", "dots": "a/../b", "plus": "a+b c%2e", "signs": "<&\x01\u00e9>"}.items():
        client.put_object(Bucket=asked.bucket, Key=f"{own}/{key}", Body=b"x")
        print(f"object-{name} allowed", flush=True)


async def stay() -> None:
    """In the template of new databases too, of which no copy is made while somebody is there."""
    sessions = [await connect(database) for database in (own, "postgres", "template1")]
    print("sessions allowed", flush=True)
    os.close(1)
    await sessions[0].execute("BEGIN; LOCK TABLE public.items, public.shared; SELECT pg_sleep(600)")


if sys.argv[3:] == ["stay"]:
    asyncio.run(stay())
else:
    asyncio.run(asyncio.wait_for(hoard(), 60))
    put()
    command = [sys.executable, "-c", env["HOARDER"], own, other, "stay"]
    # With nothing of ours, or whoever waits for us would wait for it.
    staying = subprocess.Popen(  # noqa: S603
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    print(staying.stdout.readline().decode(), end="", flush=True)
