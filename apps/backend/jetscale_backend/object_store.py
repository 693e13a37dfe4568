"""Objects of S3, or of what speaks like it, by AWS's own SDK (botocore, boto3's core)."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, TypeVar

import anyio

from jetscale_backend.envelope import ApiError
from jetscale_backend.health import Refused
from jetscale_backend.log import reason
from jetscale_backend.settings import StorageSettings

log = logging.getLogger(__name__)

T = TypeVar("T")

CONNECT_TIMEOUT_SECS = 2
READ_TIMEOUT_SECS = 5
THREADS = 8
# A request that went well is good news for so long: each costs money, and readiness asks every 2 s.
GOOD_SECS = 10.0
# Readiness reads it, and writes it where it is missing; in no item's way, whose ids are UUIDs.
MARKER = "ready"

# Answers that name a credential or a role, whatever their HTTP status.
REFUSALS = {"ExpiredToken", "ExpiredTokenException", "InvalidIdentityToken", "InvalidToken"}


class StoreUnavailable(ApiError):
    def __init__(self) -> None:
        super().__init__(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "object_store_unavailable",
            "The object store cannot be reached.",
            {"Retry-After": "2"},
        )


class StoreRefused(ApiError):
    def __init__(self) -> None:
        super().__init__(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "object_store_refused",
            "The object store does not let this service in.",
        )


class ObjectStore:
    """Keys are below the settings' prefix. Without a stored key: the SDK finds and renews credentials."""

    def __init__(self, settings: StorageSettings) -> None:
        self._settings = settings
        self._made: Any = None
        self._making = threading.Lock()
        self._limiter: anyio.CapacityLimiter | None = None
        self._good_until = 0.0

    async def put(self, key: str, content: bytes, content_type: str) -> None:
        await self._ask(lambda s3, at: s3.put_object(**at, Body=content, ContentType=content_type), key)

    async def get(self, key: str) -> bytes | None:
        """The object's bytes, or None."""
        try:
            return await self._ask(lambda s3, at: s3.get_object(**at)["Body"].read(), key)
        except _Missing:
            return None

    async def delete(self, key: str) -> None:
        """An object that is not there is deleted, too."""
        await self._ask(lambda s3, at: s3.delete_object(**at), key)

    async def check(self) -> None:
        """
        Raises:
            Refused: no credentials, a role that is not ours, or no right to the bucket's prefix.
        """
        if time.monotonic() < self._good_until:
            return
        await self._run(self._read_or_write_marker, MARKER)
        self._good_until = time.monotonic() + GOOD_SECS

    def _read_or_write_marker(self, s3: Any, at: dict[str, str]) -> None:
        try:
            s3.head_object(**at)
        except s3.exceptions.ClientError as error:
            # 403, too, where it is missing: whoever may not list a bucket is not told what it lacks.
            if _status(error) not in (HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN) or _names_a_role(error):
                raise
            s3.put_object(**at, Body=b"")

    async def _ask(self, request: Callable[[Any, dict[str, str]], T], key: str) -> T:
        """For clients: a failure ends as a 503."""
        try:
            return await self._run(request, key)
        except _Missing:
            raise
        except Refused as error:
            log.warning("the object store refuses: %s", error)
            raise StoreRefused from error
        except Exception as error:
            log.warning("the object store cannot be reached: %s", reason(error))
            raise StoreUnavailable from error

    async def _run(self, request: Callable[[Any, dict[str, str]], T], key: str) -> T:
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(THREADS)
        at = {"Bucket": self._settings.bucket, "Key": self._settings.prefix + key}
        return await anyio.to_thread.run_sync(
            # abandoned: a request has timeouts of its own, and readiness does not wait for them
            self._in_thread,
            request,
            at,
            limiter=self._limiter,
            abandon_on_cancel=True,
        )

    def _in_thread(self, request: Callable[[Any, dict[str, str]], T], at: dict[str, str]) -> T:
        from botocore.exceptions import ClientError, CredentialRetrievalError, NoCredentialsError

        try:
            return request(self._client(), at)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in ("NoSuchKey", "404"):
                raise _Missing from error
            if _status(error) in (401, 403) or _names_a_role(error):
                raise Refused(str(error)) from error
            raise
        except (NoCredentialsError, CredentialRetrievalError, FileNotFoundError) as error:
            # The last: the token's file, which AWS_WEB_IDENTITY_TOKEN_FILE names.
            raise Refused(reason(error)) from error

    def _client(self) -> Any:
        """Made with the first request: the SDK takes as long to import as all else here together."""
        with self._making:
            if self._made is None:
                self._made = _make_client(self._settings)
            return self._made


class _Missing(Exception):
    pass


def _make_client(settings: StorageSettings) -> Any:
    import botocore.session
    from botocore.config import Config

    limits = Config(
        connect_timeout=CONNECT_TIMEOUT_SECS,
        read_timeout=READ_TIMEOUT_SECS,
        retries={"mode": "standard", "total_max_attempts": 2},
        max_pool_connections=THREADS,
    )
    # A failed exchange is told by us, in a line; here it would be a traceback at every probe.
    logging.getLogger("botocore.credentials").setLevel(logging.CRITICAL)
    session = botocore.session.get_session()
    session.set_config_variable("region", settings.region)
    # The default one: the client that the SDK makes for STS has it, too.
    session.set_default_client_config(limits)
    own = Config(
        # Checksums beyond what S3 requires are more than what others that speak like it know.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        # A bucket's name is no host beside an endpoint of somebody's own.
        s3={"addressing_style": "path"} if settings.endpoint else None,
    )
    return session.create_client("s3", endpoint_url=settings.endpoint, config=own)


def _status(error: Any) -> int:
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)


def _names_a_role(error: Any) -> bool:
    """Whether it is about who we are, and not about an object."""
    client_side = 400 <= _status(error) < 500
    exchange = error.operation_name == "AssumeRoleWithWebIdentity" and client_side
    return exchange or error.response.get("Error", {}).get("Code") in REFUSALS
