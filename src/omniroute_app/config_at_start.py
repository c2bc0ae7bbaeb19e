"""The configuration file of a gateway that serves: applied at start, and again on SIGHUP."""

import asyncio
import signal
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import structlog

from omniroute.caller import SYSTEM
from omniroute.engine import Engine
from omniroute.errors import OmniRouteError
from omniroute.operations.configuration.config_files import Applied, apply_configuration
from omniroute_app.desks.configuration import read_file

log = structlog.get_logger(__name__)


async def apply_file(engine: Engine, path: Path) -> Applied:
    """Make the configuration what a file says.

    Raises:
        NotFound: there is no such file.
        ConfigurationRefused: it has errors; nothing was changed.
    """
    text = await asyncio.to_thread(read_file, path)
    applied = await apply_configuration(engine, SYSTEM, text, name=str(path))
    for notice in applied.warnings:
        log.warning("configuration_notice", told=notice.text)
    for made in applied.keys:
        log.warning(
            "configuration_made_key",
            key_name=made.name,
            told="its text is shown nowhere; give it one with POST /api/keys/ID/regenerate,"
            " or name it in the file: key = { env = ... }",
        )
    log.info(
        "configuration_applied",
        file=path.name,
        changes=len(applied.changes),
        unchanged=applied.unchanged,
    )
    return applied


@contextmanager
def applied_on_hangup(engine: Engine, path: Path | None) -> Generator[None]:
    """While this is open, SIGHUP applies the file again; without a file it does nothing."""
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()

    def again() -> None:
        task = loop.create_task(_again(engine, path), name="configuration file")
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    try:
        loop.add_signal_handler(signal.SIGHUP, again)
    except (NotImplementedError, AttributeError, RuntimeError):
        # An event loop without signals (Windows), a system without SIGHUP (Windows again), and a
        # loop beside the main thread, in that order: the file is then applied at the start alone.
        yield
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)
        for task in tasks:
            task.cancel()


async def _again(engine: Engine, path: Path | None) -> None:
    if path is None:
        log.info("configuration_file_missing", told="start with --config to have SIGHUP apply it")
        return
    try:
        await apply_file(engine, path)
    except OmniRouteError as error:  # what holds goes on holding
        log.error("configuration_refused", told=str(error))  # noqa: TRY400 - no trace helps
