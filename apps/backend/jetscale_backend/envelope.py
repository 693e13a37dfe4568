"""The shape of every answer: {"data": ...} or {"error": {...}}."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Generic, TypeVar

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

T = TypeVar("T")


class Data(BaseModel, Generic[T]):
    data: T


class FieldProblem(BaseModel):
    field: str
    message: str


class ErrorDetail(BaseModel):
    code: str
    message: str
    fields: list[FieldProblem] | None = None


class ErrorBody(BaseModel):
    error: ErrorDetail


class ApiError(HTTPException):
    """An expected failure, with a code that a client can rely on."""

    def __init__(
        self, status: HTTPStatus, code: str, message: str, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(status, message, headers)
        self.code = code


def too_large(code: str, message: str) -> ApiError:
    """For a body that is not read to its end: the connection is of no more use."""
    # Its name differs between versions of Python.
    return ApiError(HTTPStatus(413), code, message, {"Connection": "close"})


def error_response(
    status: int,
    code: str,
    message: str,
    *,
    fields: list[FieldProblem] | None = None,
    headers: Any = None,
) -> JSONResponse:
    body = ErrorBody(error=ErrorDetail(code=code, message=message, fields=fields))
    return JSONResponse(body.model_dump(exclude_none=True), status, headers)


def install_error_handlers(app: FastAPI) -> None:
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(Exception, _unexpected_error)


def field_problems(errors: Sequence[Any]) -> list[FieldProblem]:
    """Name and message only: the rejected input may be a password."""
    return [FieldProblem(field=_field_name(error), message=error["msg"]) for error in errors]


def _field_name(error: Any) -> str:
    place, *path = error["loc"]
    # For broken JSON the rest of the location is an offset, not a field.
    if not path or error["type"] == "json_invalid":
        return str(place)
    return ".".join(str(part) for part in path)


async def _http_error(request: Request, error: HTTPException) -> JSONResponse:
    code = getattr(error, "code", None) or HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
    return error_response(error.status_code, code, str(error.detail), headers=error.headers)


async def _validation_error(request: Request, error: RequestValidationError) -> JSONResponse:
    fields = field_problems(error.errors())
    message = "; ".join(f"{problem.field}: {problem.message}" for problem in fields)
    return error_response(HTTPStatus.UNPROCESSABLE_ENTITY, "validation_failed", message, fields=fields)


async def _unexpected_error(request: Request, error: Exception) -> JSONResponse:
    # The server logs the traceback; the client learns nothing of the inside.
    return error_response(HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", "Something went wrong.")
