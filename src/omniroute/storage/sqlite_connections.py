"""Connections to SQLite that can be stopped twice, and are gone when their engine is.

A query that is cancelled has its connection closed; when the close is cancelled as well, as a
cancelled task group does over and over, the connection is stopped without waiting. The driver's
own close then stops it once more and would wait for ever: the thread it asks is gone.
"""

import asyncio
import sqlite3
from functools import partial
from threading import Thread
from typing import Any
from weakref import WeakSet

import aiosqlite

_ROWS_AT_ONCE = 64
_ENDS_WITHIN_S = 5.0


class StoppableConnection(aiosqlite.Connection):
    """A connection whose thread is asked to stop once only, and drops what it is doing then."""

    _asked = False

    @property
    def thread(self) -> Thread:
        """What runs its queries."""
        return self._thread

    def stop(self) -> "asyncio.Future[Any] | None":
        """Stop the thread; None where it has been asked to already."""
        if self._asked:
            return None
        self._asked = True
        if self._connection is not None:
            self._connection.interrupt()
        return super().stop()


class Connections:
    """Makes the connections of one engine and knows which of them are still there."""

    def __init__(self) -> None:
        self._made: WeakSet[StoppableConnection] = WeakSet()

    def connect(self, database: str, **options: Any) -> StoppableConnection:
        """What the driver's `connect` does, with our connection."""
        connection = StoppableConnection(
            partial(sqlite3.connect, database, **options), _ROWS_AT_ONCE
        )
        connection.thread.daemon = True  # a process does not wait for it
        self._made.add(connection)
        return connection

    def join(self) -> None:
        """Wait for the threads of connections that were cut off: they speak to the event loop."""
        for connection in list(self._made):
            if connection.thread.is_alive():
                connection.stop()
                connection.thread.join(_ENDS_WITHIN_S)
