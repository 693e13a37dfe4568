import io

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory

from jetscale_backend import schema
from jetscale_backend.database import Base
from jetscale_backend.migrate import migrate
from jetscale_backend.schema import MigrationFailed, newest_revision
from jetscale_backend.settings import MigrateSettings, database_settings
from jetscale_backend.upgrade import alembic_config


def revisions():
    return list(ScriptDirectory.from_config(alembic_config()).walk_revisions("base", "heads"))


def test_there_is_one_line_of_revisions():
    script = ScriptDirectory.from_config(alembic_config())
    assert len(script.get_heads()) == 1
    assert len(script.get_bases()) == 1


def test_the_newest_revision_is_found_without_alembic():
    assert [newest_revision()] == ScriptDirectory.from_config(alembic_config()).get_heads()


def test_a_migration_whose_name_does_not_count_is_left_to_alembic(tmp_path, monkeypatch):
    (tmp_path / "versions").mkdir()
    (tmp_path / "versions/0001_first.py").touch()
    monkeypatch.setattr(schema, "MIGRATIONS", tmp_path)
    assert newest_revision() == "0001"
    (tmp_path / "versions/a1b2c3d4e5f6_second.py").touch()
    assert newest_revision() is None


def test_the_migrations_make_every_table_and_column():
    output = io.StringIO()
    context = MigrationContext.configure(
        dialect_name="postgresql", opts={"as_sql": True, "output_buffer": output}
    )
    with Operations.context(context):
        for revision in reversed(revisions()):
            revision.module.upgrade()
    sql = output.getvalue()
    for table in Base.metadata.sorted_tables:
        statement = sql.split(f"CREATE TABLE {table.name} (")[1].split(";")[0]
        statement = statement.replace("\t", " ").replace("\n", " \n")
        for column in table.columns:
            added = f"ALTER TABLE {table.name} ADD COLUMN {column.name} "
            assert f" {column.name} " in statement or added in sql


async def test_a_database_that_stays_away_ends_at_the_deadline_in_one_line():
    # Port 1 refuses at once.
    url = "postgresql+asyncpg://ada:hidden@127.0.0.1:1/app"
    database = database_settings({"JETSCALE_DATABASE_URL": url})
    with pytest.raises(MigrationFailed, match="127.0.0.1:1/app was not ready within 1 s") as error:
        await migrate(MigrateSettings(database=database, admin=None, deadline_secs=1))
    assert "hidden" not in str(error.value)
    assert "\n" not in str(error.value)
