"""PostgreSQL: the pool, its tables, and what counts as "not there"."""

from __future__ import annotations

import logging
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from http import HTTPStatus

from sqlalchemy import ForeignKey, Index, Integer, String, func, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import DateTime

from jetscale_backend import tls
from jetscale_backend.envelope import ApiError
from jetscale_backend.log import reason
from jetscale_backend.settings import DRIVER, DatabaseSettings

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_SECS = 3
COMMAND_TIMEOUT_SECS = 5

# Connection lost, login refused, no such database, out of connections, starting or stopping.
UNAVAILABLE_SQLSTATES = ("08", "28", "3D", "53", "57P")


class Base(DeclarativeBase):
    pass


class Account(Base):
    __tablename__ = "accounts"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    login: Mapped[str] = mapped_column(String(320), unique=True)
    password_hash: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class Item(Base):
    __tablename__ = "items"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    name: Mapped[str] = mapped_column(String(100))
    # None: made by a version that did not keep it.
    owner: Mapped[str | None] = mapped_column(String(320))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())

    __table_args__ = (
        Index("ix_items_created_at", "created_at"),
        # Serves LIKE 'prefix%' under any collation.
        Index("ix_items_name", "name", postgresql_ops={"name": "text_pattern_ops"}),
    )


class Attachment(Base):
    """What the object store holds for an item; its bytes are there alone."""

    __tablename__ = "attachments"

    item_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("items.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    content_type: Mapped[str] = mapped_column(String(100))
    size: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class DatabaseUnavailable(ApiError):
    def __init__(self) -> None:
        super().__init__(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "database_unavailable",
            "The database cannot be reached.",
            {"Retry-After": "2"},
        )


def sqlstate(error: Exception) -> str:
    return getattr(getattr(error, "orig", None), "sqlstate", None) or ""


def is_unavailable(error: Exception) -> bool:
    """Whether the database was not there, as opposed to a statement that failed."""
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or sqlstate(error).startswith(UNAVAILABLE_SQLSTATES)
    # Sockets, name resolution and timeouts reach us as they are.
    return isinstance(error, OSError | PoolTimeoutError)


def create_engine(
    settings: DatabaseSettings,
    *,
    pool_size: int,
    max_overflow: int = 0,
    command_timeout_secs: float | None = None,
) -> AsyncEngine:
    """An engine connects on first use, so the service starts without its database."""
    return create_async_engine(
        url(settings).difference_update_query(tls.DATABASE_OPTIONS),
        pool_size=pool_size,
        max_overflow=max_overflow,
        pool_timeout=CONNECT_TIMEOUT_SECS,
        pool_pre_ping=True,
        connect_args={
            "timeout": CONNECT_TIMEOUT_SECS,
            "command_timeout": command_timeout_secs,
            "server_settings": {"application_name": "jetscale-backend"},
            **tls.database(settings),
        },
    )


def url(settings: DatabaseSettings) -> URL:
    # URL.create quotes each part: a password may hold "@" or "/".
    return URL.create(
        DRIVER,
        username=settings.username,
        password=settings.password,
        host=settings.host,
        port=settings.port,
        database=settings.database,
        query=settings.query,
    )


class Database:
    def __init__(self, settings: DatabaseSettings) -> None:
        # Two replicas and their successors in a rolling update stay far below
        # PostgreSQL's usual 100 connections.
        self._engine = create_engine(
            settings, pool_size=5, max_overflow=5, command_timeout_secs=COMMAND_TIMEOUT_SECS
        )
        self._sessions = async_sessionmaker(self._engine, expire_on_commit=False)
        # Readiness has a connection of its own: a busy pool is not a dead database.
        self._probe = create_engine(settings, pool_size=1, command_timeout_secs=COMMAND_TIMEOUT_SECS)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """A session whose connection errors end as a 503."""
        try:
            async with self._sessions() as session:
                yield session
        except Exception as error:
            if not is_unavailable(error):
                raise
            log.warning("the database cannot be reached: %s", reason(error))
            raise DatabaseUnavailable from error

    async def check(self) -> None:
        async with self._probe.connect() as connection:
            await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        await self._engine.dispose()
        await self._probe.dispose()
