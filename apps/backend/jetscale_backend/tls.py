"""Whom a server's certificate must come from."""

from __future__ import annotations

import ssl

from jetscale_backend.settings import DatabaseSettings, SettingsError

# libpq's, which the driver knows in a DSN of its own alone.
DATABASE_OPTIONS = ("sslmode", "sslrootcert")


def verifying(ca_file: str | None) -> ssl.SSLContext:
    """Checks chain and host name, by the file alone if there is one, otherwise by the system's CAs."""
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # An SSLError is one, too: a file without a certificate.
        raise SettingsError(f"the CA file {ca_file} cannot be used: {error.strerror or error}") from None


def database(settings: DatabaseSettings) -> dict[str, object]:
    """How the driver is told whom the database's certificate must come from."""
    mode = settings.query.get("sslmode")
    if mode is None:
        return {}
    return {"ssl": verifying(settings.query.get("sslrootcert")) if mode == "verify-full" else mode}
