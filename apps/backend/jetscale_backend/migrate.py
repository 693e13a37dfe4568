"""The `migrate` component: brings the schema and the admin account up to date, then ends."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys

from jetscale_backend import log as logs
from jetscale_backend.schema import MigrationFailed, is_up_to_date
from jetscale_backend.settings import MigrateSettings, SettingsError, environment, migrate_settings

# Not __name__: this module runs as __main__.
log = logging.getLogger("jetscale_backend.migrate")


def main() -> None:
    logs.configure()
    # As PID 1 a process ignores SIGTERM unless it says otherwise.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    try:
        asyncio.run(migrate(migrate_settings(environment())))
    except (SettingsError, MigrationFailed) as error:
        sys.exit(f"jetscale-backend: {error}")


async def migrate(settings: MigrateSettings) -> None:
    if await is_up_to_date(settings):
        account = "the admin account is, too" if settings.admin else "no default admin account is configured"
        log.info("the schema is up to date; %s", account)
        return
    # Imported here: it takes a second, and mostly there is nothing to do.
    from jetscale_backend.upgrade import upgrade

    await upgrade(settings)


if __name__ == "__main__":
    main()
