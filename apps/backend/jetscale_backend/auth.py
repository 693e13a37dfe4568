"""Sign-in, and who is asking."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Protocol

from fastapi import APIRouter, Depends, Request
from fastapi.security import HTTPBearer
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from jetscale_backend.cache import WINDOW_SECS, Failures
from jetscale_backend.client import client_address
from jetscale_backend.envelope import ApiError, Data, ErrorBody
from jetscale_backend.passwords import Left, NoTurn, PasswordVerifier, normal_login
from jetscale_backend.text import ENCODABLE, PRINTABLE
from jetscale_backend.tokens import LIFETIME, InvalidToken, Tokens, bearer_token


class AccountLookup(Protocol):
    async def password_hash(self, login: str) -> str | None: ...


class FailureCount(Protocol):
    async def seen(self, login: str, address: str) -> Failures: ...

    async def record(self, login: str, address: str) -> Failures: ...


class SignIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    login: Annotated[str, Field(min_length=1, max_length=320), PRINTABLE]
    password: Annotated[SecretStr, Field(min_length=1, max_length=1024), ENCODABLE]


class TokenSet(BaseModel):
    access_token: str
    token_type: str = "Bearer"
    expires_in: int


class SignedIn(BaseModel):
    tokens: TokenSet


class Me(BaseModel):
    login: str


@dataclass(frozen=True)
class Authenticator:
    accounts: AccountLookup
    failures: FailureCount
    passwords: PasswordVerifier
    tokens: Tokens

    async def sign_in(self, login: str, password: str, address: str, left: Left) -> str:
        login = normal_login(login)
        try:
            with self.passwords.place():
                await self._check(login, password, address, left)
        except NoTurn:
            raise too_many_sign_ins() from None
        return self.tokens.issue(login)

    async def _check(self, login: str, password: str, address: str, left: Left) -> None:
        if (await self.failures.seen(login, address)).too_many():
            raise too_many_attempts()
        password_hash = await self.accounts.password_hash(login)
        is_right = await self.passwords.verify(password_hash, password, left)
        # Asked again: of guesses that were sent at once, those past the limit are told nothing either.
        count = self.failures.seen if is_right else self.failures.record
        if (await count(login, address)).too_many():
            raise too_many_attempts()
        if not is_right:
            raise unauthorized("invalid_credentials", "The login or the password is wrong.")


def too_many_attempts() -> ApiError:
    return ApiError(
        HTTPStatus.TOO_MANY_REQUESTS,
        "too_many_attempts",
        "Too many failed sign-ins; try again in a minute.",
        {"Retry-After": str(WINDOW_SECS)},
    )


def too_many_sign_ins() -> ApiError:
    return ApiError(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "too_many_sign_ins",
        "Too many people sign in at once; try again in a moment.",
        {"Retry-After": "2"},
    )


def unauthorized(code: str, message: str) -> ApiError:
    return ApiError(HTTPStatus.UNAUTHORIZED, code, message, {"WWW-Authenticate": "Bearer"})


class CurrentLogin:
    """A dependency: the login of the request's token.

    The signature and the expiry decide; the account is not looked up again, so
    a token stays good until it expires.
    """

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def __call__(self, request: Request) -> str:
        token = bearer_token(request.headers.get("Authorization"))
        if token is None:
            raise unauthorized("not_authenticated", "A bearer token is required.")
        try:
            return self._tokens.login(token)
        except InvalidToken:
            raise unauthorized("invalid_token", "The token is invalid or has expired.") from None


def bearer_required(current_login: CurrentLogin) -> list:
    """Route dependencies; HTTPBearer is there for the docs page alone."""
    return [Depends(HTTPBearer(auto_error=False)), Depends(current_login)]


def auth_router(authenticator: Authenticator, current_login: CurrentLogin, proxies: int) -> APIRouter:
    router = APIRouter(prefix="/api/v2/auth", tags=["auth"], responses={401: {"model": ErrorBody}})

    @router.post("/sign-in", responses={429: {"model": ErrorBody}, 503: {"model": ErrorBody}})
    async def sign_in(body: SignIn, request: Request) -> Data[SignedIn]:
        async def left() -> None:
            while (await request.receive())["type"] != "http.disconnect":
                pass

        peer = request.client.host if request.client else None
        address = client_address(request.headers.getlist("X-Forwarded-For"), peer, proxies)
        token = await authenticator.sign_in(body.login, body.password.get_secret_value(), address, left)
        expires_in = int(LIFETIME.total_seconds())
        return Data(data=SignedIn(tokens=TokenSet(access_token=token, expires_in=expires_in)))

    @router.get("/me", dependencies=bearer_required(current_login))
    async def me(request: Request) -> Data[Me]:
        return Data(data=Me(login=current_login(request)))

    return router
