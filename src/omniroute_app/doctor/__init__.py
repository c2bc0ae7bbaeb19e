"""Looks a data directory over, repairs what can be repaired, and says what to do about the rest."""

import asyncio
import os
from collections.abc import Callable, Iterator

from msgspec import Struct

from omniroute.clock import now_ms
from omniroute.storage.holders import alive
from omniroute_app.cli.db import Printing
from omniroute_app.doctor import files, surroundings
from omniroute_app.doctor.database import database
from omniroute_app.doctor.finding import Finding, Patient
from omniroute_app.running import running_gateway
from omniroute_app.settings import Settings, with_env_file

_MARKS = {"ok": "ok  ", "warning": "WARN", "error": "FAIL"}


class Report(Struct, frozen=True, kw_only=True):
    """Everything that was looked at. `status` is that of the worst finding."""

    status: str
    running: str | None
    findings: list[Finding]


async def examine(settings: Settings, *, repair: bool, printing: Printing) -> bool:
    """Look everything over and print it; whether something is broken.

    Repairs touch nothing a running gateway works on: those that would are left to it.
    """
    running = running_gateway(settings.data_dir)
    others = sorted(alive(settings.data_dir))
    patient = Patient(
        settings=settings,
        environ=with_env_file(os.environ, settings.data_dir),
        running=running or (f"process {others[0]}" if others else None),
        repair=repair,
        now_ms=now_ms(),
    )
    found = await findings(patient)
    levels = {one.level for one in found}
    status = next((one for one in ("error", "warning") if one in levels), "ok")
    report = Report(status=status, running=patient.running, findings=found)
    printing.result(report, "\n".join(_lines(report)))
    return status == "error"


async def findings(patient: Patient) -> list[Finding]:
    """What every check finds. Those on files come first: they repair what others stand on."""
    found: list[Finding] = []
    for check in (files.directory, files.permissions, files.secrets):
        found += await asyncio.to_thread(_all, check, patient)
    if not any(one.level == "error" and one.check in ("directory", "secrets") for one in found):
        found += [one async for one in database(patient)]
    for check in (
        files.leftovers,
        files.backups,
        surroundings.disk,
        surroundings.port,
        surroundings.clock,
    ):
        found += await asyncio.to_thread(_all, check, patient)
    return found


def _all(check: Callable[[Patient], Iterator[Finding]], patient: Patient) -> list[Finding]:
    return list(check(patient))


def _lines(report: Report) -> list[str]:
    lines = []
    for one in report.findings:
        mark = "done" if one.repaired else _MARKS[one.level]
        lines.append(f"{mark}  {one.check:<12} {one.message}")
        if one.next is not None:
            lines.append(f"{'':<18} {one.next}")
    return lines
