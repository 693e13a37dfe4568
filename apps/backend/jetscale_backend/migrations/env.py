"""Alembic's entry. The connection, its transaction and the lock are the `migrate` component's."""

from alembic import context

from jetscale_backend.database import Base

connection = context.config.attributes.get("connection")
if connection is None:
    raise SystemExit("jetscale-backend: migrations run by JETSCALE_COMPONENT=migrate, not by alembic itself")

context.configure(connection=connection, target_metadata=Base.metadata, compare_type=True)
with context.begin_transaction():
    context.run_migrations()
