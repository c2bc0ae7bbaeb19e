"""The machine around the gateway: room on the disk, a free port, a clock that is right."""

import shutil
import socket
from collections.abc import Iterator
from contextlib import closing

from omniroute.clock import iso
from omniroute_app.desks.database import sqlite_file
from omniroute_app.doctor.finding import Finding, Patient, broken, fine, warning
from omniroute_app.settings import Settings

_MIB = 1024 * 1024
_LEAST_BYTES = 50 * _MIB
_ENOUGH_BYTES = 500 * _MIB
# When this was written. A clock before it is wrong.
_BUILT_MS = 1_790_000_000_000


def disk(patient: Patient) -> Iterator[Finding]:
    """Is there room for records, and for a copy of the database?"""
    place = patient.settings.data_dir
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    database = sqlite_file(patient.settings)
    size = database.stat().st_size if database is not None and database.exists() else 0
    told = f"{free // _MIB} MiB are free; the database has {size // _MIB} MiB."
    then = "Free some space, or move the data directory (DATA_DIR)."
    if free < _LEAST_BYTES:
        yield broken("disk", told, then)
    elif free < max(_ENOUGH_BYTES, 2 * size):
        yield warning("disk", told, then)
    else:
        yield fine("disk", told)


def port(patient: Patient) -> Iterator[Finding]:
    """Can a gateway listen where it is meant to?"""
    settings = patient.settings
    where = f"{settings.host}:{settings.port}"
    if patient.running is not None:
        yield fine("port", f"Running: {patient.running}")
        return
    try:
        _try_port(settings)
    except OSError as error:
        yield broken(
            "port",
            f"{where} cannot be listened on: {error.strerror}.",
            "Stop the program that has the port, or choose another with --port.",
        )
    else:
        yield fine("port", f"{where} is free.")


def _try_port(settings: Settings) -> None:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with closing(socket.socket(family, socket.SOCK_STREAM)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((settings.host, settings.port))


def clock(patient: Patient) -> Iterator[Finding]:
    """Is this a possible time?"""
    now = iso(patient.now_ms)
    if patient.now_ms < _BUILT_MS:
        yield broken(
            "clock",
            f"It is not {now}: this version is newer than that.",
            "Set the clock, or let NTP set it (timedatectl set-ntp true).",
        )
    else:
        yield fine("clock", f"It is {now}.")
