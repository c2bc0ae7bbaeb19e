"""Logging: one stream of lines on standard error, secrets redacted before anything else."""

import logging
import sys
from typing import Any

import structlog
from structlog.types import EventDict, Processor

from omniroute.dialects.redaction import redact_secrets


def redacted(_logger: Any, _name: str, event: EventDict) -> EventDict:
    """The first processor: no credential reaches a line, whoever logged it."""
    return {
        name: redact_secrets(value) if isinstance(value, str) else value
        for name, value in event.items()
    }


def configure_logs(level: str, form: str) -> None:
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
    renderer: Processor = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                redacted,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
