"""Logging: one stream of lines on standard error, secrets redacted before anything else."""

import logging
import os
import sys
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

import structlog
from msgspec import Struct
from structlog.types import EventDict, Processor

from omniroute.dialects.redaction import redact_secrets
from omniroute.pipeline.exchange import ChatCall
from omniroute.routing.trace import RouteTrace
from omniroute.storage.records.audit import HIDDEN, is_secret_name
from omniroute_app.settings import Settings

log = structlog.get_logger(__name__)


def redacted(_logger: Any, _name: str, event: EventDict) -> EventDict:
    """The first processor: no credential reaches a line, whoever logged it."""
    return {name: _plain(value, name) for name, value in event.items()}


def _plain(value: Any, name: str = "") -> Any:
    """A value without credentials: neither what looks like one nor what is named like one."""
    if isinstance(value, str):
        return HIDDEN if is_secret_name(name) else redact_secrets(value)
    if isinstance(value, dict):
        return {key: _plain(inner, str(key)) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value


class LogFile(Struct, frozen=True, kw_only=True):
    """A file that lines also go to, as JSON; a full one is put aside, the oldest goes."""

    path: Path
    max_bytes: int
    max_files: int


def file_of(settings: Settings) -> LogFile | None:
    """Where the log goes beside standard error; None where it does not."""
    if not settings.log_to_file:
        return None
    # Directories above the last one get the usual mode; the data directory must not.
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    return LogFile(
        path=settings.log_file or settings.data_dir / "logs" / "app.log",
        max_bytes=settings.log_max_bytes,
        max_files=settings.log_max_files,
    )


def log_request(call: ChatCall, trace: RouteTrace) -> None:
    """One line for every finished request, at the level `info`."""
    log.info(
        "request",
        request_id=trace.request_id,
        door=trace.door,
        path=call.path or None,
        key=trace.api_key_id,
        model=trace.requested_model,
        provider=trace.provider,
        answered_by=trace.model,
        outcome=trace.outcome,
        status=trace.status,
        source=trace.source,
        attempts=len(trace.attempts),
        duration_ms=trace.duration_ms,
        input_tokens=trace.input_tokens,
        output_tokens=trace.output_tokens,
        cost_micro_usd=trace.cost_micro_usd,
        error=trace.error,
    )


def configure_logs(level: str, form: str, file: LogFile | None = None) -> None:
    """Send everything, the libraries' lines included, through one redacting formatter.

    Args:
        level: `debug`, `info`, `warning` or `error`.
        form: `text` for people, `json` for programs.
    """
    shared: list[Processor] = [
        redacted,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    as_json: Processor = structlog.processors.JSONRenderer()
    as_text: Processor = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    handlers[0].setFormatter(_formatter(shared, as_json if form == "json" else as_text))
    if file is not None:
        handlers.append(_rotating(file))
        handlers[1].setFormatter(_formatter(shared, as_json))
    root = logging.getLogger()
    root.handlers[:] = handlers
    root.setLevel(level.upper())
    for name in _TELL_EVERYTHING:
        logging.getLogger(name).setLevel(logging.INFO)


_TELL_EVERYTHING = ("aiosqlite",)
"""Libraries that log every value at `debug`: what people and models have said among them."""


class _PrivateFiles(RotatingFileHandler):
    """Makes every file, the ones after the first too, for its owner only."""

    def _open(self) -> TextIOWrapper:
        found = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        raw = os.fdopen(found, "ab", buffering=0)
        return TextIOWrapper(raw, encoding=self.encoding, errors=self.errors, write_through=True)


def _formatter(shared: list[Processor], renderer: Processor) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            redacted,
            renderer,
        ],
    )


def _rotating(file: LogFile) -> logging.Handler:
    file.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return _PrivateFiles(
        file.path,
        maxBytes=file.max_bytes,
        backupCount=file.max_files,
        encoding="utf-8",
        errors="backslashreplace",
    )
