"""The data directory as files: who may read them, which secrets there are, what was left behind."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from omniroute.clock import iso
from omniroute.storage.backups.files import BackupFolder
from omniroute.storage.backups.manifest import opened
from omniroute.storage.holders import left_behind
from omniroute_app.desks.database import sqlite_file
from omniroute_app.doctor.finding import (
    REPAIR,
    Finding,
    Patient,
    broken,
    fine,
    repaired,
    warning,
)
from omniroute_app.running import note_left_behind

_SECRETS = {
    "storage-key": "STORAGE_ENCRYPTION_KEY",
    "api-key-secret": "API_KEY_SECRET",
    "session-secret": "JWT_SECRET",
}
_OLD_DAYS = 7


def directory(patient: Patient) -> Iterator[Finding]:
    """Is there a data directory one can work in?"""
    path = patient.settings.data_dir
    if not path.is_dir():
        yield fine("directory", f"There is nothing at {path} yet; the first start makes it.")
    elif not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        yield broken(
            "directory",
            f"{path} cannot be read and written by this user.",
            f"Give it to whoever runs the gateway: chown -R <user> {path}",
        )
    else:
        yield fine("directory", f"{path} can be read and written.")


def permissions(patient: Patient) -> Iterator[Finding]:
    """May others read what is private?"""
    if os.name != "posix" or not patient.settings.data_dir.is_dir():
        return
    open_to_others = [path for path in _private(patient) if path.stat().st_mode & 0o077]
    if not open_to_others:
        yield fine("permissions", "Only the owner can read what is private.")
        return
    names = ", ".join(path.name for path in open_to_others[:5])
    if not patient.repair:
        yield broken("permissions", f"Others may read or enter: {names}.", f"Run: {REPAIR}")
        return
    for path in open_to_others:
        path.chmod(0o700 if path.is_dir() else 0o600)
    yield repaired("permissions", f"Others could read or enter: {names}. Not any more.")


def _private(patient: Patient) -> Iterator[Path]:
    root = patient.settings.data_dir
    yield root
    for folder in ("secrets", "db_backups", "journal"):
        if (root / folder).is_dir():
            yield root / folder
            yield from (path for path in (root / folder).iterdir() if not path.is_symlink())
    database = sqlite_file(patient.settings)
    if database is not None:
        yield from database.parent.glob(f"{database.name}*")


def secrets(patient: Patient) -> Iterator[Finding]:
    """Are the secrets there that open what is stored?"""
    folder = patient.settings.data_dir / "secrets"
    database = sqlite_file(patient.settings)
    used = folder.is_dir() or (database is not None and database.exists())
    problems = 0
    for name, variable in _SECRETS.items():
        path = folder / name
        if variable in patient.environ:
            if not patient.environ[variable].strip():
                problems += 1
                yield broken("secrets", f"{variable} is set but blank.", "Unset it, or give it.")
        elif used and (not path.exists() or not path.read_bytes().strip()):
            problems += 1
            yield broken(
                "secrets",
                f"The secret '{name}' is missing; a new one would not open what is stored.",
                f"Bring {path} back from where the data directory was saved, or set {variable}.",
            )
    if not problems:
        yield fine("secrets", "All secrets are there." if used else "None are needed yet.")


def leftovers(patient: Patient) -> Iterator[Finding]:
    """Have processes that died left something behind?"""
    data_dir = patient.settings.data_dir
    paths = [
        *BackupFolder(data_dir).dead_drafts(),
        *left_behind(data_dir),
        *note_left_behind(data_dir),
    ]
    if not paths:
        yield fine("leftovers", "No process has left anything behind.")
        return
    names = ", ".join(path.name for path in paths[:5])
    if not patient.repair:
        yield warning("leftovers", f"Processes that died have left: {names}.", f"Run: {REPAIR}")
        return
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    yield repaired("leftovers", f"Processes that died had left: {names}. It is removed.")


def backups(patient: Patient) -> Iterator[Finding]:
    """Could one go back?"""
    every = BackupFolder(patient.settings.data_dir).all()
    if not every:
        yield warning("backups", "There is no backup.", "Run: omniroute db backup")
        return
    damaged = [one.id for one in every if not _is_sound(one.path)]
    if damaged:
        yield warning(
            "backups",
            f"These backups are damaged: {', '.join(damaged)}.",
            "Remove them and run: omniroute db backup",
        )
    age_days = (patient.now_ms - every[0].created_at_ms) // 86_400_000
    told = f"{len(every)} backups, the latest is {every[0].id} of {iso(every[0].created_at_ms)}."
    if age_days >= _OLD_DAYS:
        yield warning("backups", f"{told} It is {age_days} days old.", "Run: omniroute db backup")
    elif not damaged:
        yield fine("backups", told)


def _is_sound(path: Path) -> bool:
    try:
        with closing(opened(path)) as file:
            return bool(file.execute("PRAGMA quick_check(1)").fetchone() == ("ok",))
    except sqlite3.Error:
        return False
