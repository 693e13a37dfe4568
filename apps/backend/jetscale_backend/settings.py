"""What the environment asked for. Nothing else reads it.

Each component imports this and waits for it at its start: parsers of URLs, which are parts of large
libraries, are imported where they are needed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

Environment = Mapping[str, str]

COMPONENT = "JETSCALE_COMPONENT"
DATABASE_URL = "JETSCALE_DATABASE_URL"
DB_HOST = "JETSCALE_DB_HOST"
DB_PORT = "JETSCALE_DB_PORT"
DB_NAME = "JETSCALE_DB_NAME"
DB_USER = "JETSCALE_DB_USER"
DB_PASSWORD = "JETSCALE_DB_PASSWORD"
DB_SSLMODE = "JETSCALE_DB_SSLMODE"
DB_CA_FILE = "JETSCALE_DB_CA_FILE"
REDIS_URL = "JETSCALE_REDIS_URL"
REDIS_HOST = "JETSCALE_REDIS_HOST"
REDIS_USER = "JETSCALE_REDIS_USER"
REDIS_PASSWORD = "JETSCALE_REDIS_PASSWORD"
REDIS_CA_FILE = "JETSCALE_REDIS_CA_FILE"
REDIS_PREFIX = "JETSCALE_REDIS_PREFIX"
S3_BUCKET = "JETSCALE_S3_BUCKET"
S3_PREFIX = "JETSCALE_S3_PREFIX"
S3_REGION = "JETSCALE_S3_REGION"
S3_ENDPOINT = "JETSCALE_S3_ENDPOINT"
# The SDK's own names, which EKS sets and other tools read too.
AWS_REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")
AWS_S3_ENDPOINT = "AWS_ENDPOINT_URL_S3"
PROXIES = "JETSCALE_PROXIES"
JWT_SECRET_KEY = "JETSCALE_JWT_SECRET_KEY"
ADMIN_EMAIL = "JETSCALE_DEFAULT_ADMIN_EMAIL"
ADMIN_PASSWORD = "JETSCALE_DEFAULT_ADMIN_PASSWORD"
MIGRATE_DEADLINE = "JETSCALE_MIGRATE_DEADLINE_SECS"

DRIVER = "postgresql+asyncpg"
DB_DEFAULT_PORT = 5432
COMPONENTS = ("api", "websocket", "migrate")
# libpq's names. Not verify-ca: whoever holds any certificate of a public CA would pass it.
SSLMODES = ("disable", "prefer", "require", "verify-full")
# RFC 7518, 3.2: a key for HS256 has at least the size of the hash.
JWT_KEY_MIN_BYTES = 32


class SettingsError(Exception):
    """A variable is missing or malformed; says which one, never its value."""


@dataclass(frozen=True)
class Version:
    """What this image was built from."""

    version: str
    git_sha: str
    git_ref: str
    build_time: str


@dataclass(frozen=True)
class Admin:
    """The account that `migrate` keeps up to date."""

    email: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class DatabaseSettings:
    host: str
    port: int
    database: str
    username: str | None
    password: str | None = field(repr=False)
    # libpq's sslmode and sslrootcert, and what else a URL says: the driver's own options.
    query: Mapping[str, str]

    def __str__(self) -> str:
        return f"{self.host}:{self.port}/{self.database}"


@dataclass(frozen=True)
class RedisSettings:
    url: str = field(repr=False)
    user: str | None
    password: str | None = field(repr=False)
    ca_file: str | None
    # Before every key: what a user of a shared redis may touch.
    prefix: str


@dataclass(frozen=True)
class StorageSettings:
    """Where attachments go; who may is the SDK's own chain's to find out."""

    bucket: str
    # Before every key: "" or something that ends with "/".
    prefix: str
    region: str
    # None: AWS itself.
    endpoint: str | None


@dataclass(frozen=True)
class ApiSettings:
    database: DatabaseSettings
    redis: RedisSettings
    jwt_key: str = field(repr=False)
    version: Version
    storage: StorageSettings | None
    # How many stand between a client and the api, each of which appends to X-Forwarded-For.
    proxies: int


@dataclass(frozen=True)
class WebsocketSettings:
    jwt_key: str = field(repr=False)


@dataclass(frozen=True)
class MigrateSettings:
    database: DatabaseSettings
    admin: Admin | None
    deadline_secs: int


def environment() -> Environment:
    return os.environ


def component(env: Environment) -> str:
    name = _optional(env, COMPONENT) or "api"
    if name not in COMPONENTS:
        raise SettingsError(f"{COMPONENT} must be one of {', '.join(COMPONENTS)}")
    return name


def api_settings(env: Environment) -> ApiSettings:
    return ApiSettings(
        database=database_settings(env),
        redis=redis_settings(env),
        jwt_key=jwt_key(env),
        version=version(env),
        storage=storage_settings(env),
        # None: a header that no proxy of ours wrote says nothing.
        proxies=_integer(env, PROXIES, default=0, low=0, high=9),
    )


def websocket_settings(env: Environment) -> WebsocketSettings:
    return WebsocketSettings(jwt_key=jwt_key(env))


def migrate_settings(env: Environment) -> MigrateSettings:
    return MigrateSettings(
        database=database_settings(env),
        admin=admin(env),
        deadline_secs=_integer(env, MIGRATE_DEADLINE, default=120, low=1, high=3600),
    )


def database_settings(env: Environment) -> DatabaseSettings:
    """By the whole URL if given, otherwise by the parts; TLS as sslmode and sslrootcert."""
    text = _optional(env, DATABASE_URL)
    database = _database_by_parts(env) if text is None else _database_by_url(text)
    tls = {"sslmode": _optional(env, DB_SSLMODE), "sslrootcert": _optional(env, DB_CA_FILE)}
    query = {**database.query, **{name: value for name, value in tls.items() if value is not None}}
    mode = query.get("sslmode")
    if mode is not None and mode not in SSLMODES:
        raise SettingsError(f"{DB_SSLMODE} (sslmode in {DATABASE_URL}) must be one of {', '.join(SSLMODES)}")
    if "sslrootcert" in query and mode != "verify-full":
        raise SettingsError(f"{DB_CA_FILE} is of no use unless {DB_SSLMODE} is verify-full")
    return replace(database, query=query)


def _database_by_parts(env: Environment) -> DatabaseSettings:
    missing = [name for name in (DB_HOST, DB_NAME, DB_USER, DB_PASSWORD) if not _optional(env, name)]
    if missing:
        raise SettingsError(f"set {DATABASE_URL}, or {', '.join(missing)} too")
    return DatabaseSettings(
        host=env[DB_HOST],
        port=_integer(env, DB_PORT, default=DB_DEFAULT_PORT, low=1, high=65535),
        database=env[DB_NAME],
        username=env[DB_USER],
        password=env[DB_PASSWORD],
        query={},
    )


def redis_url(env: Environment) -> str:
    """JETSCALE_REDIS_URL (a port, a password, TLS), otherwise JETSCALE_REDIS_HOST.

    There is no JETSCALE_REDIS_PORT: Kubernetes itself sets that name, to
    "tcp://10.0.0.1:6379", beside a Service called jetscale-redis.
    """
    text = _optional(env, REDIS_URL)
    if text is not None:
        from redis.asyncio.connection import parse_url as parse_redis_url
        from redis.exceptions import RedisError

        try:
            if parse_redis_url(text).get("host"):
                return text
        except (ValueError, RedisError):
            pass
        raise SettingsError(f"{REDIS_URL} is not a URL such as redis://host:6379/0")
    host = _optional(env, REDIS_HOST)
    if host is None:
        raise SettingsError(f"set {REDIS_HOST} or {REDIS_URL}")
    if any(sign in host for sign in "/@: "):
        raise SettingsError(f"{REDIS_HOST} must be a host name alone; {REDIS_URL} takes a whole URL")
    return f"redis://{host}:6379/0"


def redis_settings(env: Environment) -> RedisSettings:
    url, ca_file = redis_url(env), _optional(env, REDIS_CA_FILE)
    if ca_file is not None and not url.startswith("rediss://"):
        raise SettingsError(f"{REDIS_CA_FILE} is of no use unless {REDIS_URL} begins with rediss://")
    return RedisSettings(
        url=url,
        user=_optional(env, REDIS_USER),
        password=_optional(env, REDIS_PASSWORD),
        ca_file=ca_file,
        prefix=_optional(env, REDIS_PREFIX) or "jetscale:",
    )


def storage_settings(env: Environment) -> StorageSettings | None:
    """None without a bucket: then there are no attachments."""
    bucket = _optional(env, S3_BUCKET)
    if bucket is None:
        return None
    regions = [value for name in (S3_REGION, *AWS_REGIONS) if (value := _optional(env, name))]
    if not regions:
        raise SettingsError(f"{S3_BUCKET} needs a region: set {S3_REGION}")
    prefix = _optional(env, S3_PREFIX) or ""
    if prefix and not prefix.endswith("/"):
        # Without it the prefix of pull request 1 would be the beginning of 10's.
        raise SettingsError(f'{S3_PREFIX} must end with "/"')
    return StorageSettings(
        bucket=bucket,
        prefix=prefix,
        region=regions[0],
        endpoint=_optional(env, S3_ENDPOINT) or _optional(env, AWS_S3_ENDPOINT),
    )


def jwt_key(env: Environment) -> str:
    key = _optional(env, JWT_SECRET_KEY)
    if key is None:
        raise SettingsError(f"set {JWT_SECRET_KEY}")
    if len(key.encode()) < JWT_KEY_MIN_BYTES:
        raise SettingsError(f"{JWT_SECRET_KEY} must have at least {JWT_KEY_MIN_BYTES} bytes")
    return key


def admin(env: Environment) -> Admin | None:
    email, password = _optional(env, ADMIN_EMAIL), _optional(env, ADMIN_PASSWORD)
    if email is None and password is None:
        return None
    if email is None or password is None:
        raise SettingsError(f"set both {ADMIN_EMAIL} and {ADMIN_PASSWORD}, or neither")
    return Admin(email=email, password=password)


def version(env: Environment) -> Version:
    return Version(
        version=_optional(env, "JETSCALE_VERSION") or "unknown",
        git_sha=_optional(env, "JETSCALE_GIT_SHA") or "unknown",
        git_ref=_optional(env, "JETSCALE_GIT_REF") or "unknown",
        build_time=_optional(env, "JETSCALE_BUILD_TIME") or "unknown",
    )


def _database_by_url(text: str) -> DatabaseSettings:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    # "from None": the parser's own message may quote the URL, password and all.
    try:
        url = make_url(text)
        port = url.port
    except (ArgumentError, ValueError):
        raise SettingsError(f"{DATABASE_URL} is not a URL such as {DRIVER}://user@host:5432/name") from None
    if url.drivername != DRIVER:
        raise SettingsError(f"{DATABASE_URL} must begin with {DRIVER}://")
    if port is not None and not 1 <= port <= 65535:
        raise SettingsError(f"{DATABASE_URL} has a port outside 1 to 65535")
    if not url.host or not url.database:
        raise SettingsError(f"{DATABASE_URL} must name a host and a database")
    return DatabaseSettings(
        host=url.host,
        port=port or DB_DEFAULT_PORT,
        database=url.database,
        username=url.username,
        password=url.password,
        query=dict(url.query),
    )


def _optional(env: Environment, name: str) -> str | None:
    """An empty variable counts as unset: charts render absent values that way."""
    value = env.get(name, "")
    return value if value.strip() else None


def _integer(env: Environment, name: str, *, default: int, low: int, high: int) -> int:
    text = _optional(env, name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and low <= int(text) <= high):
        raise SettingsError(f"{name} must be a whole number from {low} to {high}")
    return int(text)
