"""Attachments of items: their bytes in the object store, what is known of them in the database."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Protocol

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, ConfigDict
from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from jetscale_backend.auth import CurrentLogin, bearer_required
from jetscale_backend.database import Attachment, Database
from jetscale_backend.envelope import ApiError, Data, ErrorBody, too_large
from jetscale_backend.items import ItemStore, not_found

# The router lets 8 MiB pass; each is in memory while it is on its way.
ATTACHMENT_MAX_BYTES = 5 * 1024 * 1024
TRANSFERS_MAX = 8
# Of all requests only these have bodies of more than 64 KiB; limited_body() ends them.
LARGER_BODIES = ("PUT", re.compile(r"/api/v2/items/[^/]+/attachments/[^/]+"))
DEFAULT_TYPE = "application/octet-stream"

# No "/" and no leading dot: it is part of a key, and the name of a file where it is saved.
Name = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
_CONTENT_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+(; ?[\w.+-]+=[\w.+-]+)?", re.ASCII)


class AttachmentBody(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    name: str
    content_type: str
    size: int
    created_at: datetime


class Objects(Protocol):
    async def put(self, key: str, content: bytes, content_type: str) -> None: ...

    async def get(self, key: str) -> bytes | None: ...

    async def delete(self, key: str) -> None: ...


class AttachmentStore(Protocol):
    async def put(self, item_id: uuid.UUID, name: str, content_type: str, size: int) -> Attachment | None: ...

    async def list(self, item_id: uuid.UUID) -> Sequence[Attachment]: ...

    async def get(self, item_id: uuid.UUID, name: str) -> Attachment | None: ...

    async def delete(self, item_id: uuid.UUID, name: str) -> None: ...


class StoredAttachments:
    """What PostgreSQL knows of them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, item_id: uuid.UUID, name: str, content_type: str, size: int) -> Attachment | None:
        """The attachment, new or replaced; None if its item is no longer there."""
        values = {"content_type": content_type, "size": size}
        statement = insert(Attachment).values(item_id=item_id, name=name, **values)
        statement = statement.on_conflict_do_update(
            index_elements=[Attachment.item_id, Attachment.name],
            set_={**values, "created_at": func.now()},
        ).returning(Attachment)
        async with self._database.session() as session:
            try:
                attachment = await session.scalar(statement)
                await session.commit()
            except IntegrityError:
                return None
            return attachment

    async def list(self, item_id: uuid.UUID) -> Sequence[Attachment]:
        query = select(Attachment).where(Attachment.item_id == item_id).order_by(Attachment.name)
        async with self._database.session() as session:
            return (await session.scalars(query)).all()

    async def get(self, item_id: uuid.UUID, name: str) -> Attachment | None:
        async with self._database.session() as session:
            return await session.get(Attachment, (item_id, name))

    async def delete(self, item_id: uuid.UUID, name: str) -> None:
        statement = delete(Attachment).where(Attachment.item_id == item_id, Attachment.name == name)
        async with self._database.session() as session:
            await session.execute(statement)
            await session.commit()


class Attachments:
    """For the item's owner alone.

    An object comes before its row and goes before it. A failure in between leaves an object that
    no row names, which is never served, or a row without its object, which is no attachment.
    """

    def __init__(self, items: ItemStore, rows: AttachmentStore, objects: Objects) -> None:
        self._items = items
        self._rows = rows
        self._objects = objects

    async def owned(self, item_id: uuid.UUID, login: str) -> None:
        item = await self._items.get(item_id)
        if item is None:
            raise not_found()
        if item.owner != login:
            raise not_the_owner()

    async def before_delete(self, item_id: uuid.UUID, login: str) -> None:
        """An item takes its attachments with it, and so only its owner may take one that has any."""
        attachments = await self._rows.list(item_id)
        if attachments:
            await self.owned(item_id, login)
        for attachment in attachments:
            await self._remove(item_id, attachment.name)

    async def put(self, item_id: uuid.UUID, name: str, content: bytes, content_type: str) -> Attachment:
        await self._objects.put(_key(item_id, name), content, content_type)
        attachment = await self._rows.put(item_id, name, content_type, len(content))
        if attachment is None:
            await self._objects.delete(_key(item_id, name))
            raise not_found()
        return attachment

    async def list(self, item_id: uuid.UUID) -> Sequence[Attachment]:
        return await self._rows.list(item_id)

    async def get(self, item_id: uuid.UUID, name: str) -> tuple[Attachment, bytes]:
        attachment = await self._rows.get(item_id, name)
        content = attachment and await self._objects.get(_key(item_id, name))
        if attachment is None or content is None:
            raise no_attachment()
        return attachment, content

    async def delete(self, item_id: uuid.UUID, name: str) -> None:
        if await self._rows.get(item_id, name) is None:
            raise no_attachment()
        await self._remove(item_id, name)

    async def _remove(self, item_id: uuid.UUID, name: str) -> None:
        await self._objects.delete(_key(item_id, name))
        await self._rows.delete(item_id, name)


def _key(item_id: uuid.UUID, name: str) -> str:
    return f"{item_id}/{name}"


def no_attachment() -> ApiError:
    return ApiError(HTTPStatus.NOT_FOUND, "attachment_not_found", "There is no such attachment.")


def not_the_owner() -> ApiError:
    return ApiError(HTTPStatus.FORBIDDEN, "not_the_owner", "Only the item's owner may do that.")


def attachment_too_large() -> ApiError:
    return too_large("attachment_too_large", f"An attachment has at most {ATTACHMENT_MAX_BYTES} bytes.")


async def limited_body(request: Request) -> bytes:
    declared = request.headers.get("Content-Length", "")
    if declared.isdigit() and int(declared) > ATTACHMENT_MAX_BYTES:
        raise attachment_too_large()
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > ATTACHMENT_MAX_BYTES:
            raise attachment_too_large()
    return bytes(content)


def content_type(request: Request) -> str:
    text = request.headers.get("Content-Type", "")
    return text if len(text) <= 100 and _CONTENT_TYPE.fullmatch(text) else DEFAULT_TYPE


def attachments_router(attachments: Attachments, current_login: CurrentLogin) -> APIRouter:
    answers = {401: "No token", 403: "Not the item's owner", 404: "No such item or attachment"}
    answers |= {503: "The object store or the database is away"}
    router = APIRouter(
        prefix="/api/v2/items/{item_id}/attachments",
        tags=["attachments"],
        dependencies=bearer_required(current_login),
        responses={status: {"model": ErrorBody, "description": text} for status, text in answers.items()},
    )
    transfers = asyncio.Semaphore(TRANSFERS_MAX)

    async def owned(item_id: uuid.UUID, request: Request) -> None:
        await attachments.owned(item_id, current_login(request))

    @router.get("")
    async def list_attachments(item_id: uuid.UUID, request: Request) -> Data[list[AttachmentBody]]:
        await owned(item_id, request)
        found = await attachments.list(item_id)
        return Data(data=[AttachmentBody.model_validate(attachment) for attachment in found])

    @router.put(
        "/{name}",
        description="The body is the attachment, its Content-Type is kept; one of that name is replaced.",
        responses={413: {"model": ErrorBody, "description": "Too large"}},
    )
    async def put(item_id: uuid.UUID, name: Name, request: Request) -> Data[AttachmentBody]:
        await owned(item_id, request)
        async with transfers:
            content = await limited_body(request)
            attachment = await attachments.put(item_id, name, content, content_type(request))
        return Data(data=AttachmentBody.model_validate(attachment))

    @router.get("/{name}", response_class=Response)
    async def read(item_id: uuid.UUID, name: Name, request: Request) -> Response:
        await owned(item_id, request)
        async with transfers:
            attachment, content = await attachments.get(item_id, name)
        # "attachment": a page that somebody uploaded must not run as one of ours.
        headers = {
            "Content-Type": attachment.content_type,
            "Content-Disposition": f'attachment; filename="{name}"',
        }
        return Response(content, headers=headers)

    @router.delete("/{name}", status_code=HTTPStatus.NO_CONTENT)
    async def remove(item_id: uuid.UUID, name: Name, request: Request) -> None:
        await owned(item_id, request)
        await attachments.delete(item_id, name)

    return router
