"""Access tokens: JWT, HS256, with sub, iat and exp."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import jwt

LIFETIME = timedelta(hours=1)
ALGORITHM = "HS256"


class InvalidToken(Exception):
    pass


class Tokens:
    def __init__(self, key: str) -> None:
        self._key = key

    def issue(self, login: str, *, now: datetime | None = None) -> str:
        issued = now or datetime.now(UTC)
        claims = {"sub": login, "iat": issued, "exp": issued + LIFETIME}
        return jwt.encode(claims, self._key, ALGORITHM)

    def login(self, token: str) -> str:
        """Whose token this is.

        Raises:
            InvalidToken: it is malformed, expired, or signed by another key.
        """
        try:
            claims = jwt.decode(token, self._key, [ALGORITHM], options={"require": ["sub", "iat", "exp"]})
        except (jwt.InvalidTokenError, ValueError) as error:
            raise InvalidToken from error
        return claims["sub"]


def bearer_token(header: str | None) -> str | None:
    """The token of an Authorization header; the scheme's letter case is free."""
    scheme, _, token = (header or "").partition(" ")
    if scheme.lower() != "bearer":
        return None
    return token.strip() or None
