"""Text as clients may send it."""

from __future__ import annotations

from pydantic import AfterValidator, SecretStr
from pydantic_core import PydanticCustomError


def _printable(text: str) -> str:
    # PostgreSQL cannot store NUL, and no name needs any other control character.
    if not text.isprintable():
        raise PydanticCustomError("not_printable", "Must hold printable characters only")
    return text


def _encodable(secret: SecretStr) -> SecretStr:
    # JSON can spell half of a surrogate pair, which UTF-8 cannot.
    try:
        secret.get_secret_value().encode()
    except UnicodeEncodeError:
        raise PydanticCustomError("not_unicode", "Must be valid Unicode") from None
    return secret


# Validators for Annotated, after its Field: a length is then told in characters.
PRINTABLE = AfterValidator(_printable)
ENCODABLE = AfterValidator(_encodable)
