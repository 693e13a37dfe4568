"""Whether schema and admin account are up to date, by the database's driver alone.

`migrate` runs before every start of the api and mostly has nothing to do; what upgrades takes a second
to import.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import asyncpg

from jetscale_backend import tls
from jetscale_backend.passwords import is_current, normal_login
from jetscale_backend.settings import MigrateSettings

MIGRATIONS = Path(__file__).parent / "migrations"
TIMEOUT_SECS = 3


class MigrationFailed(Exception):
    """Ends the process; one line for the operator, without any password."""


async def is_up_to_date(settings: MigrateSettings) -> bool:
    """Whether there is nothing to do. What goes wrong is a no: the upgrade meets it too and says it."""
    if set(settings.database.query) - set(tls.DATABASE_OPTIONS):
        # Whom those reach, and by what TLS, the upgrade's driver knows.
        return False
    tls_args = tls.database(settings.database)
    try:
        async with asyncio.timeout(TIMEOUT_SECS):
            connection = await asyncpg.connect(
                host=settings.database.host,
                port=settings.database.port,
                user=settings.database.username,
                password=settings.database.password,
                database=settings.database.database,
                **tls_args,
            )
            try:
                return await _is_up_to_date(connection, settings)
            finally:
                # Bounded by itself: a time limit that has struck strikes no second time.
                await connection.close(timeout=1)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
        return False


async def _is_up_to_date(connection: asyncpg.Connection, settings: MigrateSettings) -> bool:
    revisions = await connection.fetch("SELECT version_num FROM alembic_version")
    newest = newest_revision()
    if newest is None or [row["version_num"] for row in revisions] != [newest]:
        return False
    if settings.admin is None:
        return True
    stored = await connection.fetchval(
        "SELECT password_hash FROM accounts WHERE login = $1", normal_login(settings.admin.email)
    )
    return stored is not None and is_current(stored, settings.admin.password)


def newest_revision() -> str | None:
    """A migration's file begins with its revision, four digits that count up; None where one does not."""
    names = [path.name for path in MIGRATIONS.glob("versions/*.py")]
    counted = [name[:4] for name in names if re.match(r"[0-9]{4}_", name)]
    return max(counted) if names and len(counted) == len(names) else None
