"""Logging, on top of what uvicorn sets up."""

from __future__ import annotations

import logging
import re

_TOKEN = re.compile(r"([?&]token=)[^&\s\"]*")
_PROBE_PATHS = ("/api/v2/system/live", "/api/v2/system/ready", "/api/v2/system/ws/ready")


def configure() -> None:
    logger = logging.getLogger("jetscale_backend")
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(levelname)s:     %(message)s"))
        logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    # uvicorn logs requests by the first of these, WebSocket handshakes by the second.
    for name in ("uvicorn.access", "uvicorn.error"):
        logging.getLogger(name).addFilter(filter_record)


def filter_record(record: logging.LogRecord) -> bool:
    """Hide tokens in query strings, and drop probes that went well: they drown the rest."""
    if isinstance(record.args, tuple):
        record.args = tuple(redact(arg) if isinstance(arg, str) else arg for arg in record.args)
    return not _is_good_probe(record)


def reason(error: BaseException) -> str:
    """One line with the driver's own words; SQLAlchemy adds the statement and a link."""
    wrapped = getattr(error, "orig", None)
    if wrapped is not None:
        error = wrapped.__cause__ or wrapped
    return f"{type(error).__name__}: {str(error) or 'no details'}"


def redact(text: str) -> str:
    return _TOKEN.sub(r"\1***", text)


def _is_good_probe(record: logging.LogRecord) -> bool:
    if record.name != "uvicorn.access" or not isinstance(record.args, tuple) or len(record.args) != 5:
        return False
    _client, _method, path, _http_version, status = record.args
    return status == 200 and path in _PROBE_PATHS
