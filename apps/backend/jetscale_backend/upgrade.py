"""Brings the schema and the admin account up to date."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.orm import Session

from jetscale_backend.accounts import upsert_admin
from jetscale_backend.database import create_engine, is_unavailable, sqlstate
from jetscale_backend.log import reason
from jetscale_backend.schema import MIGRATIONS, MigrationFailed
from jetscale_backend.settings import Admin, MigrateSettings

log = logging.getLogger(__name__)

# Any number that no one else locks on in this database.
ADVISORY_LOCK_KEY = 0x6A65747363616C65
RETRY_INTERVAL_SECS = 0.5
# Invalid authorization, insufficient privilege: waiting heals neither.
REFUSAL_SQLSTATES = ("28", "42501")


class LockHeld(Exception):
    pass


async def upgrade(settings: MigrateSettings) -> None:
    # No timeout for a statement: a large table takes the time it takes.
    engine = create_engine(settings.database, pool_size=1)
    try:
        await _until_deadline(engine, settings)
    finally:
        await engine.dispose()


async def _until_deadline(engine: AsyncEngine, settings: MigrateSettings) -> None:
    place = settings.database
    deadline = time.monotonic() + settings.deadline_secs
    last = ""
    while True:
        try:
            await _attempt(engine, settings.admin)
            return
        except Exception as error:
            if sqlstate(error).startswith(REFUSAL_SQLSTATES):
                message = f"{place} refused the user {place.username!r}: {reason(error)}"
                raise MigrationFailed(message) from None
            if isinstance(error, ssl.SSLCertVerificationError):
                # Nor a certificate of another host, or of a CA that is not ours.
                raise MigrationFailed(f"{place} is not who it should be: {reason(error)}") from None
            if not isinstance(error, LockHeld) and not is_unavailable(error):
                raise
            state = reason(error)
        if state != last:
            log.info("waiting for %s: %s", place, state)
            last = state
        if time.monotonic() > deadline:
            raise MigrationFailed(f"{place} was not ready within {settings.deadline_secs} s; last: {last}")
        await asyncio.sleep(RETRY_INTERVAL_SECS)


async def _attempt(engine: AsyncEngine, admin: Admin | None) -> None:
    """One transaction for lock, schema and account: all of it happens, or nothing."""
    async with engine.begin() as connection:
        await _lock(connection)
        await connection.run_sync(_upgrade, admin)


async def _lock(connection: AsyncConnection) -> None:
    # "try": a blocking wait would outlast the deadline.
    taken = await connection.scalar(
        text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK_KEY}
    )
    if not taken:
        raise LockHeld("another migration holds the advisory lock")


def _upgrade(connection: Connection, admin: Admin | None) -> None:
    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    log.info("the schema is up to date")
    if admin is None:
        log.info("no default admin account is configured")
        return
    with Session(connection, join_transaction_mode="create_savepoint") as session:
        changed = upsert_admin(session, admin)
        session.commit()
    log.info("the admin account %s", "was written" if changed else "is up to date")


def alembic_config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config
