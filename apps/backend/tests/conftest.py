"""The api over fakes: only what would need a server of its own is replaced."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx
import pytest
from fastapi import FastAPI

from jetscale_backend.api import assemble_api
from jetscale_backend.auth import Authenticator
from jetscale_backend.cache import Failures
from jetscale_backend.database import Item
from jetscale_backend.passwords import PasswordVerifier, hash_password
from jetscale_backend.settings import Version
from jetscale_backend.tokens import Tokens

KEY = "k" * 32
LOGIN = "ada@example.test"
PASSWORD = "correct horse"


class FakeAccounts:
    def __init__(self) -> None:
        self.hashes = {LOGIN: hash_password(PASSWORD)}

    async def password_hash(self, login: str) -> str | None:
        return self.hashes.get(login)


class FakeFailures:
    def __init__(self) -> None:
        self.recorded: list[tuple[str, str]] = []

    async def seen(self, login: str, address: str) -> Failures:
        return Failures(
            of_login_from_address=self.recorded.count((login, address)),
            of_address=sum(one == address for _, one in self.recorded),
            of_login=sum(one == login for one, _ in self.recorded),
        )

    async def record(self, login: str, address: str) -> Failures:
        before = await self.seen(login, address)
        self.recorded.append((login, address))
        return before


class FakeItems:
    def __init__(self) -> None:
        self.stored: dict[uuid.UUID, Item] = {}

    async def create(self, name: str, owner: str) -> Item:
        item = Item(id=uuid.uuid4(), name=name, owner=owner, created_at=datetime.now(UTC))
        self.stored[item.id] = item
        return item

    async def list(self, prefix: str, limit: int) -> list[Item]:
        return [item for item in self.stored.values() if item.name.startswith(prefix)][:limit]

    async def get(self, item_id: uuid.UUID) -> Item | None:
        return self.stored.get(item_id)

    async def delete(self, item_id: uuid.UUID) -> bool:
        return self.stored.pop(item_id, None) is not None


class FakeDependency:
    """Something that readiness asks: answers, or raises what it is told to."""

    error: Exception | None = None

    async def check(self) -> None:
        if self.error is not None:
            raise self.error


@pytest.fixture
def tokens() -> Tokens:
    return Tokens(KEY)


@pytest.fixture
def failures() -> FakeFailures:
    return FakeFailures()


@pytest.fixture
def redis() -> FakeDependency:
    return FakeDependency()


@pytest.fixture
def items() -> FakeItems:
    return FakeItems()


@pytest.fixture
def passwords() -> PasswordVerifier:
    return PasswordVerifier()


@pytest.fixture
def app(
    tokens: Tokens,
    failures: FakeFailures,
    passwords: PasswordVerifier,
    redis: FakeDependency,
    items: FakeItems,
) -> FastAPI:
    return assemble_api(
        checks={"database": FakeDependency().check, "redis": redis.check},
        version=Version("1.2.3", "0123abc-dirty", "main", "2030-01-01T00:00:00Z"),
        authenticator=Authenticator(FakeAccounts(), failures, passwords, tokens),
        items=items,
        proxies=1,
    )


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


@pytest.fixture
def bearer(tokens: Tokens) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens.issue(LOGIN)}"}
