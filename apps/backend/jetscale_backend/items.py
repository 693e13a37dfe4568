"""Items: a small resource that is really stored."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Protocol

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import delete, select

from jetscale_backend.auth import CurrentLogin, bearer_required
from jetscale_backend.database import Database, Item
from jetscale_backend.envelope import ApiError, Data, ErrorBody
from jetscale_backend.text import PRINTABLE

LIST_MAX = 1000

Name = Annotated[str, Field(min_length=1, max_length=100), PRINTABLE]
Prefix = Annotated[str, Query(max_length=100, description="Only names that begin so"), PRINTABLE]
Limit = Annotated[int, Query(ge=1, le=LIST_MAX)]


# Asked with the item's id and the login of who deletes it; may refuse by an ApiError.
BeforeDelete = Callable[[uuid.UUID, str], Awaitable[None]]


class NewItem(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Name


class ItemBody(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: uuid.UUID
    name: str
    created_at: datetime


class ItemStore(Protocol):
    async def create(self, name: str, owner: str) -> Item: ...

    async def list(self, prefix: str, limit: int) -> Sequence[Item]: ...

    async def get(self, item_id: uuid.UUID) -> Item | None: ...

    async def delete(self, item_id: uuid.UUID) -> bool: ...


class StoredItems:
    """The items in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, name: str, owner: str) -> Item:
        async with self._database.session() as session:
            item = Item(name=name, owner=owner)
            session.add(item)
            await session.commit()
            await session.refresh(item)
            return item

    async def list(self, prefix: str, limit: int) -> Sequence[Item]:
        query = select(Item).order_by(Item.created_at.desc(), Item.id).limit(limit)
        if prefix:
            query = query.where(Item.name.startswith(prefix, autoescape=True))
        async with self._database.session() as session:
            return (await session.scalars(query)).all()

    async def get(self, item_id: uuid.UUID) -> Item | None:
        async with self._database.session() as session:
            return await session.get(Item, item_id)

    async def delete(self, item_id: uuid.UUID) -> bool:
        async with self._database.session() as session:
            result = await session.execute(delete(Item).where(Item.id == item_id))
            await session.commit()
            return result.rowcount > 0


def not_found() -> ApiError:
    return ApiError(HTTPStatus.NOT_FOUND, "item_not_found", "There is no such item.")


def items_router(
    items: ItemStore, current_login: CurrentLogin, before_delete: BeforeDelete | None = None
) -> APIRouter:
    router = APIRouter(
        prefix="/api/v2/items",
        tags=["items"],
        dependencies=bearer_required(current_login),
        responses={401: {"model": ErrorBody}},
    )
    missing = {404: {"model": ErrorBody}}

    @router.post("", status_code=HTTPStatus.CREATED)
    async def create(body: NewItem, request: Request) -> Data[ItemBody]:
        return Data(data=ItemBody.model_validate(await items.create(body.name, current_login(request))))

    @router.get("", description="Newest first.")
    async def list_items(prefix: Prefix = "", limit: Limit = LIST_MAX) -> Data[list[ItemBody]]:
        found = await items.list(prefix, limit)
        return Data(data=[ItemBody.model_validate(item) for item in found])

    @router.get("/{item_id}", responses=missing)
    async def read(item_id: uuid.UUID) -> Data[ItemBody]:
        item = await items.get(item_id)
        if item is None:
            raise not_found()
        return Data(data=ItemBody.model_validate(item))

    @router.delete("/{item_id}", status_code=HTTPStatus.NO_CONTENT, responses=missing)
    async def remove(item_id: uuid.UUID, request: Request) -> None:
        if before_delete is not None:
            await before_delete(item_id, current_login(request))
        if not await items.delete(item_id):
            raise not_found()

    return router
