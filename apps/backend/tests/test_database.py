import pytest
from sqlalchemy.exc import DBAPIError, NoResultFound
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from jetscale_backend.database import is_unavailable


def driver_error(sqlstate: str, *, invalidated: bool = False) -> DBAPIError:
    original = Exception("from the driver")
    original.sqlstate = sqlstate
    return DBAPIError("SELECT 1", {}, original, connection_invalidated=invalidated)


@pytest.mark.parametrize(
    ("error", "unavailable"),
    [
        (ConnectionRefusedError(), True),
        (TimeoutError(), True),
        (PoolTimeoutError(), True),
        (driver_error("57P03"), True),
        (driver_error("53300"), True),
        (driver_error("28P01"), True),
        (driver_error("XX000", invalidated=True), True),
        (driver_error("23505"), False),
        (driver_error("42P01"), False),
        (NoResultFound(), False),
    ],
    ids=lambda value: getattr(getattr(value, "orig", None), "sqlstate", None) or str(value),
)
def test_what_counts_as_unavailable(error, unavailable):
    assert is_unavailable(error) is unavailable
