import logging

from jetscale_backend.log import filter_record, reason


def record(name: str, *args: object) -> logging.LogRecord:
    return logging.LogRecord(name, logging.INFO, "", 0, "%s " * len(args), args, None)


def test_tokens_are_hidden():
    handshake = record("uvicorn.error", "127.0.0.1:1", "/api/v1/ws?a=1&token=secret&b=2")
    assert filter_record(handshake)
    assert "secret" not in handshake.getMessage()
    assert "a=1&token=***&b=2" in handshake.getMessage()


def test_only_probes_that_went_well_are_dropped():
    def access(path: str, status: int) -> logging.LogRecord:
        return record("uvicorn.access", "10.0.0.1:1", "GET", path, "1.1", status)

    assert not filter_record(access("/api/v2/system/ready", 200))
    assert filter_record(access("/api/v2/system/ready", 503))
    assert filter_record(access("/api/v2/items", 200))


def test_a_reason_is_never_empty():
    assert reason(TimeoutError()) == "TimeoutError: no details"
