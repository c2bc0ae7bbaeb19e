"""Runs a coroutine as a process does: on uvloop where it exists, quiet on Ctrl-C."""

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

from omniroute.errors import OmniRouteError

ResultT = TypeVar("ResultT")


def run(main: Coroutine[Any, Any, ResultT]) -> ResultT | None:
    """Run `main` to its end; None where Ctrl-C ended it.

    Raises:
        OmniRouteError: as `main` does, out of any task group it was raised in.
    """
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(main)
    except KeyboardInterrupt:
        return None
    except BaseExceptionGroup as group:
        known = group.subgroup(OmniRouteError)
        if known is None:
            raise
        raise _first(known) from group


def _loop_factory() -> Any:
    if sys.platform == "win32":
        return None
    import uvloop

    return uvloop.new_event_loop


def _first(group: BaseExceptionGroup[Any]) -> BaseException:
    found: BaseException = group.exceptions[0]
    return _first(found) if isinstance(found, BaseExceptionGroup) else found
