import os
import subprocess
import sys
from dataclasses import replace

import pytest
from sqlalchemy import text

from jetscale_backend import settings
from jetscale_backend.database import Database, url
from jetscale_backend.migrate import migrate
from jetscale_backend.schema import MigrationFailed, is_up_to_date, newest_revision
from jetscale_backend.settings import SettingsError
from tests.managed.conftest import BACKEND, OTHER


async def connection(env):
    """The error, or what encrypts the connection."""
    database = Database(settings.database_settings(env))
    try:
        await database.check()
        async with database.session() as session:
            query = "SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
            return await session.scalar(text(query))
    except OSError as error:
        return error
    finally:
        await database.close()


async def test_the_right_ca_is_accepted(database_env):
    assert await connection(database_env) == "TLSv1.3"


async def test_a_url_with_sslmode_and_sslrootcert_does_the_same(database_env):
    whole = url(settings.database_settings(database_env)).render_as_string(hide_password=False)
    assert "sslmode=verify-full&sslrootcert=" in whole
    assert await connection({"JETSCALE_DATABASE_URL": whole}) == "TLSv1.3"


async def test_another_ca_is_refused(database_env, certificates):
    error = await connection({**database_env, "JETSCALE_DB_CA_FILE": certificates.other_ca})
    assert "certificate verify failed" in str(error)


async def test_the_systems_cas_do_not_know_it(database_env):
    error = await connection({**database_env, "JETSCALE_DB_CA_FILE": ""})
    assert "certificate verify failed" in str(error)


async def test_a_certificate_of_another_host_is_refused(database_env):
    error = await connection({**database_env, "JETSCALE_DB_HOST": "127.0.0.1"})
    assert "certificate is not valid for '127.0.0.1'" in str(error)


async def test_without_tls_nobody_comes_in(database_env):
    env = {**database_env, "JETSCALE_DB_SSLMODE": "disable", "JETSCALE_DB_CA_FILE": ""}
    database = Database(settings.database_settings(env))
    with pytest.raises(Exception, match="no encryption"):
        await database.check()
    await database.close()


async def test_a_migration_ends_at_once_when_the_server_is_not_who_it_should_be(database_env, certificates):
    env = {**database_env, "JETSCALE_DB_CA_FILE": certificates.other_ca}
    with pytest.raises(MigrationFailed, match="is not who it should be: .*certificate verify failed"):
        await migrate(settings.migrate_settings(env))


def run_migrate(env):
    return subprocess.run(  # noqa: S603
        [sys.executable, "-m", "jetscale_backend.migrate"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(BACKEND), **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_ca_file_that_is_none_ends_the_start_in_one_line(database_env, tmp_path):
    absent, empty = tmp_path / "absent.pem", tmp_path / "empty.pem"
    with pytest.raises(SettingsError, match="the CA file .*absent.pem cannot be used: No such file"):
        Database(settings.database_settings({**database_env, "JETSCALE_DB_CA_FILE": str(absent)}))
    empty.touch()
    result = run_migrate({**database_env, "JETSCALE_DB_CA_FILE": str(empty)})
    assert result.returncode == 1
    assert result.stderr.startswith(f"jetscale-backend: the CA file {empty} cannot be used: ")
    assert result.stderr.count("\n") == 1


async def test_a_previews_role_can_migrate_twice(database_env):
    admin = {"JETSCALE_DEFAULT_ADMIN_EMAIL": "Ada@example.test", "JETSCALE_DEFAULT_ADMIN_PASSWORD": "first"}
    for said in ["the admin account was written", "the schema is up to date; the admin account is, too"]:
        result = run_migrate({**database_env, **admin})
        assert (result.returncode, said in result.stderr) == (0, True), result.stderr
    changed = {**database_env, **admin, "JETSCALE_DEFAULT_ADMIN_PASSWORD": "second"}
    for up_to_date in [False, True]:
        assert await is_up_to_date(settings.migrate_settings(changed)) is up_to_date
        await migrate(settings.migrate_settings(changed))


async def test_with_the_drivers_own_options_the_upgrade_looks(database_env):
    await migrate(settings.migrate_settings(database_env))
    asked = settings.migrate_settings(database_env)
    assert await is_up_to_date(asked)
    query = {**asked.database.query, "ssl": "verify-full"}
    assert not await is_up_to_date(replace(asked, database=replace(asked.database, query=query)))


async def test_another_revision_is_not_up_to_date(database_env):
    await migrate(settings.migrate_settings(database_env))
    database = Database(settings.database_settings(database_env))
    for revision, up_to_date in [("0000", False), (newest_revision(), True)]:
        async with database.session() as session:
            await session.execute(text("UPDATE alembic_version SET version_num = :now"), {"now": revision})
            await session.commit()
        assert await is_up_to_date(settings.migrate_settings(database_env)) is up_to_date
    await database.close()


async def test_a_previews_role_cannot_enter_anothers_database(database_env):
    database = Database(settings.database_settings({**database_env, "JETSCALE_DB_NAME": OTHER}))
    with pytest.raises(Exception, match=f'permission denied for database "{OTHER}"'):
        await database.check()
    await database.close()
