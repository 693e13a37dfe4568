import re

import pytest

from jetscale_backend import settings
from jetscale_backend.settings import Admin, SettingsError, StorageSettings

PARTS = {
    "JETSCALE_DB_HOST": "db",
    "JETSCALE_DB_NAME": "app",
    "JETSCALE_DB_USER": "ada",
    "JETSCALE_DB_PASSWORD": "p@ss/w:rd",
}
URL = "postgresql+asyncpg://ada:hidden@db:5433/app"


def test_database_parts_keep_odd_passwords():
    database = settings.database_settings(PARTS)
    assert (database.host, database.port, database.database, database.username, database.password) == (
        "db",
        5432,
        "app",
        "ada",
        "p@ss/w:rd",
    )


def test_the_database_url_wins_over_the_parts():
    assert settings.database_settings({**PARTS, "JETSCALE_DATABASE_URL": URL}).port == 5433


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({}, "set JETSCALE_DATABASE_URL, or JETSCALE_DB_HOST, JETSCALE_DB_NAME"),
        ({**PARTS, "JETSCALE_DB_NAME": " "}, "or JETSCALE_DB_NAME too"),
        ({**PARTS, "JETSCALE_DB_PORT": "tcp://10.0.0.1:5432"}, "JETSCALE_DB_PORT must be"),
        ({**PARTS, "JETSCALE_DB_PORT": "65536"}, "JETSCALE_DB_PORT must be"),
        ({"JETSCALE_DATABASE_URL": "hidden"}, "JETSCALE_DATABASE_URL is not a URL"),
        ({"JETSCALE_DATABASE_URL": "postgres://ada:hidden@db/app"}, "must begin with postgresql"),
        ({"JETSCALE_DATABASE_URL": "postgresql+asyncpg://ada:hidden@db"}, "a host and a database"),
        ({"JETSCALE_DATABASE_URL": "postgresql+asyncpg://ada:hidden@db:0/app"}, "a port outside"),
        ({"JETSCALE_DATABASE_URL": "postgresql+asyncpg://a:hidden@db:x/app"}, "is not a URL"),
    ],
)
def test_a_bad_database_is_named_without_its_password(env, message):
    with pytest.raises(SettingsError, match=re.escape(message)) as error:
        settings.database_settings(env)
    assert "hidden" not in str(error.value)
    assert "\n" not in str(error.value)


def test_redis_by_host_or_by_url():
    assert settings.redis_url({"JETSCALE_REDIS_HOST": "cache"}) == "redis://cache:6379/0"
    url = "rediss://:secret@cache:6380/1"
    assert settings.redis_url({"JETSCALE_REDIS_HOST": "other", "JETSCALE_REDIS_URL": url}) == url


@pytest.mark.parametrize(
    "env",
    [{}, {"JETSCALE_REDIS_HOST": "redis://cache"}, {"JETSCALE_REDIS_URL": "cache:6379"}],
)
def test_a_bad_redis_is_refused(env):
    with pytest.raises(SettingsError, match="JETSCALE_REDIS_"):
        settings.redis_url(env)


def test_tls_of_the_database_by_parts_or_in_the_url():
    tls = {"JETSCALE_DB_SSLMODE": "verify-full", "JETSCALE_DB_CA_FILE": "/ca.pem"}
    expected = {"sslmode": "verify-full", "sslrootcert": "/ca.pem"}
    assert settings.database_settings({**PARTS, **tls}).query == expected
    assert settings.database_settings({"JETSCALE_DATABASE_URL": URL, **tls}).query == expected
    in_url = f"{URL}?sslmode=verify-full&sslrootcert=/ca.pem"
    assert settings.database_settings({"JETSCALE_DATABASE_URL": in_url}).query == expected
    assert settings.database_settings(PARTS).query == {}


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({"JETSCALE_DB_SSLMODE": "verify-ca"}, "must be one of disable, prefer, require, verify-full"),
        ({"JETSCALE_DB_CA_FILE": "/ca.pem"}, "of no use unless JETSCALE_DB_SSLMODE is verify-full"),
        ({"JETSCALE_DB_SSLMODE": "require", "JETSCALE_DB_CA_FILE": "/ca.pem"}, "of no use"),
    ],
)
def test_tls_that_would_check_nothing_is_refused(env, message):
    with pytest.raises(SettingsError, match=message):
        settings.database_settings({**PARTS, **env})


def test_redis_of_ones_own_has_a_prefix_of_its_own():
    plain = settings.redis_settings({"JETSCALE_REDIS_HOST": "cache"})
    assert (plain.user, plain.password, plain.ca_file, plain.prefix) == (None, None, None, "jetscale:")
    with pytest.raises(SettingsError, match="begins with rediss://"):
        settings.redis_settings({"JETSCALE_REDIS_HOST": "cache", "JETSCALE_REDIS_CA_FILE": "/ca.pem"})


def test_storage_is_there_when_a_bucket_is_named():
    assert settings.storage_settings({"AWS_REGION": "eu-central-1"}) is None
    env = {"JETSCALE_S3_BUCKET": "b", "AWS_REGION": "eu-central-1"}
    assert settings.storage_settings(env) == StorageSettings("b", "", "eu-central-1", None)
    env |= {
        "JETSCALE_S3_REGION": "eu-west-1",
        "JETSCALE_S3_PREFIX": "pr-1/",
        "AWS_ENDPOINT_URL_S3": "http://s3",
    }
    assert settings.storage_settings(env) == StorageSettings("b", "pr-1/", "eu-west-1", "http://s3")


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({}, "set JETSCALE_S3_REGION"),
        ({"AWS_REGION": "eu-central-1", "JETSCALE_S3_PREFIX": "pr-1"}, "end with"),
    ],
)
def test_storage_that_is_half_configured_is_refused(env, message):
    with pytest.raises(SettingsError, match=message):
        settings.storage_settings({"JETSCALE_S3_BUCKET": "b", **env})


@pytest.mark.parametrize("key", ["", "short"])
def test_a_weak_jwt_key_is_refused(key):
    with pytest.raises(SettingsError, match="JETSCALE_JWT_SECRET_KEY"):
        settings.jwt_key({"JETSCALE_JWT_SECRET_KEY": key})


@pytest.mark.parametrize(("name", "component"), [("", "api"), ("websocket", "websocket")])
def test_the_component(name, component):
    assert settings.component({"JETSCALE_COMPONENT": name}) == component


def test_an_unknown_component_is_refused():
    with pytest.raises(SettingsError, match="one of api, websocket, migrate"):
        settings.component({"JETSCALE_COMPONENT": "worker"})


def test_an_admin_is_whole_or_absent():
    email, password = "JETSCALE_DEFAULT_ADMIN_EMAIL", "JETSCALE_DEFAULT_ADMIN_PASSWORD"
    assert settings.admin({}) is None
    assert settings.admin({email: "a@b", password: "secret"}) == Admin("a@b", "secret")
    with pytest.raises(SettingsError):
        settings.admin({email: "a@b"})


def test_secrets_stay_out_of_repr():
    env = {**PARTS, "JETSCALE_REDIS_URL": "redis://:hidden@h", "JETSCALE_JWT_SECRET_KEY": "hidden" * 6}
    env["JETSCALE_REDIS_PASSWORD"] = "hidden"
    shown = repr(settings.api_settings(env))
    assert "hidden" not in shown
    assert "p@ss" not in shown


def test_no_proxy_is_believed_unless_it_is_told_of():
    env = {**PARTS, "JETSCALE_REDIS_HOST": "cache", "JETSCALE_JWT_SECRET_KEY": "k" * 32}
    assert settings.api_settings(env).proxies == 0
    assert settings.api_settings({**env, "JETSCALE_PROXIES": "2"}).proxies == 2
    with pytest.raises(SettingsError, match="JETSCALE_PROXIES must be a whole number from 0 to 9"):
        settings.api_settings({**env, "JETSCALE_PROXIES": "-1"})
