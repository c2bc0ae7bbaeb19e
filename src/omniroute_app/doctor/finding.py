"""What the doctor finds, and what the checks know."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from msgspec import Struct

from omniroute_app.settings import Settings

Level: TypeAlias = Literal["ok", "warning", "error"]


class Finding(Struct, frozen=True, kw_only=True):
    """One thing that was looked at. `next` says what to do, where something is to be done."""

    check: str
    level: Level
    message: str
    next: str | None = None
    repaired: bool = False


@dataclass(frozen=True, slots=True)
class Patient:
    """What is looked at. `running` is the address of a gateway, or the name of another process,
    that works on the data directory; `repair` is whether to repair."""

    settings: Settings
    environ: Mapping[str, str]
    running: str | None
    repair: bool
    now_ms: int


def fine(check: str, message: str) -> Finding:
    """Nothing to do."""
    return Finding(check=check, level="ok", message=message)


def repaired(check: str, message: str) -> Finding:
    """Something was wrong and is not any more."""
    return Finding(check=check, level="ok", message=message, repaired=True)


def warning(check: str, message: str, then: str) -> Finding:
    """Something that works now and may not tomorrow."""
    return Finding(check=check, level="warning", message=message, next=then)


def broken(check: str, message: str, then: str) -> Finding:
    """Something that does not work."""
    return Finding(check=check, level="error", message=message, next=then)


REPAIR = "omniroute doctor --repair"
"""What repairs it."""
