"""What a failing database means for a caller: driver errors become errors of our tree."""

import logging
from collections.abc import Generator
from contextlib import contextmanager

from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    DisconnectionError,
    IntegrityError,
    ProgrammingError,
    StatementError,
    TimeoutError,  # noqa: A004
)

from omniroute.errors import Conflict, InvalidRequest, StorageUnavailable

log = logging.getLogger(__name__)


@contextmanager
def translated(
    collision: str = "The write collides with something that exists.",
) -> Generator[None]:
    """Turn driver errors into ours; the cause is chained, never quoted: it holds SQL and values.

    Args:
        collision: the message when a unique or foreign key refuses the write.

    Raises:
        Conflict: a unique or foreign key refused the write.
        InvalidRequest: a value is too large for its column; repeating cannot help.
        StorageUnavailable: the database is gone, locked, full or unreadable.
    """
    try:
        yield
    except IntegrityError as error:
        raise Conflict(collision) from error
    except (OverflowError, StatementError) as error:
        if _is_about_a_value(error):
            raise InvalidRequest("A value does not fit into its column.") from error
        if not isinstance(error, DBAPIError) or isinstance(error, ProgrammingError):
            raise  # a statement of ours is wrong, which is a bug and not an outage
        log.warning("the database refuses to work: %s", error.orig)
        raise StorageUnavailable(
            "The database cannot be used right now; the log names the cause."
        ) from error
    except (TimeoutError, DisconnectionError, OSError) as error:
        raise StorageUnavailable(
            "The database does not answer; check that it is running and reachable."
        ) from error


def _is_about_a_value(error: OverflowError | StatementError) -> bool:
    """SQLite's driver overflows, asyncpg and our own column types find unfit values before
    sending (ValueError), PostgreSQL after (class 22)."""
    if isinstance(error, OverflowError):
        return True
    origin = error.orig
    sqlstate = getattr(origin, "sqlstate", None) or ""
    return (
        isinstance(error, DataError)
        or sqlstate.startswith("22")
        or isinstance(origin, ValueError)
        or isinstance(getattr(origin, "__cause__", None), ValueError)
    )
