"""Everything in one archive: the database, and what people read, as JSON. Source: 02 §15."""

import asyncio
import re
import tarfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from omniroute.caller import Caller
from omniroute.clock import iso
from omniroute.engine import Engine
from omniroute.operations.storage.backups import exported
from omniroute.storage.database import Database

FORMAT = "omniroute-full-backup-v1"
_SECRET = re.compile(r"(apikey|token|secret|password|passwordhash|credential)s?$")
_CALLS = 1_000


@asynccontextmanager
async def full_export(engine: Engine, caller: Caller) -> AsyncGenerator[Path]:
    """A `.tar.gz` that exists while the context does.

    Settings that are secrets are left out, accounts come without keys, gateway keys with their
    first eight characters. The database in it is as `exported` gives it: credentials sealed.

    Raises:
        StorageUnavailable: the database cannot be copied.
    """
    async with exported(engine, caller) as database:
        place = database.parent
        files = {
            "storage.sqlite": database,
            "settings.json": _written(place, "settings", _settings(engine)),
            "combos.json": _written(place, "combos", _combos(engine)),
            "providers.json": _written(place, "providers", _providers(engine)),
            "api-keys.json": _written(place, "api-keys", _keys(engine)),
            "call_logs/call_logs.jsonl": await _call_logs(engine.database, place),
        }
        about = {
            "exportedAt": iso(engine.now_ms()),
            "version": engine.version,
            "format": FORMAT,
            "contents": [*files, "metadata.json"],
        }
        files["metadata.json"] = _written(place, "metadata", about)
        path = place / "export.tar.gz"
        await asyncio.to_thread(_pack, path, files)
        yield path


def _pack(path: Path, files: dict[str, Path]) -> None:
    with tarfile.open(path, "w:gz", compresslevel=6) as archive:
        for name, file in files.items():
            archive.add(file, name, filter=_anonymous)


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Who ran the gateway is nobody's business."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o600
    return member


def _written(place: Path, name: str, value: Any) -> Path:
    path = place / f"{name}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(value)))
    return path


def _settings(engine: Engine) -> dict[str, Any]:
    return {
        name: value
        for name, value in engine.snapshot.settings.items()
        if not _SECRET.search(re.sub(r"[^a-z]", "", name.lower()))
    }


def _combos(engine: Engine) -> list[dict[str, Any]]:
    return [msgspec.to_builtins(combo) for combo in engine.snapshot.combos.values()]


def _providers(engine: Engine) -> list[dict[str, Any]]:
    return [
        {
            "id": row.id,
            "provider": row.provider,
            "name": row.name,
            "auth_type": row.auth_type,
            "is_active": row.is_active,
            "email": None,
            "created_at": row.created_at,
        }
        for row in engine.snapshot.connections.values()
        if row.created_at  # others were found at start and are not kept
    ]


def _keys(engine: Engine) -> list[dict[str, Any]]:
    return [
        {
            "id": key.id,
            "name": key.name,
            "prefix": key.prefix,
            "machine_id": key.machine_id,
            "created_at": key.created_at,
        }
        for key in engine.snapshot.keys.values()
    ]


async def _call_logs(database: Database, place: Path) -> Path:
    path = place / "call_logs.jsonl"
    encoder, after = msgspec.json.Encoder(), ""
    with await asyncio.to_thread(path.open, "wb") as file:
        while True:
            async with database.reading() as work:
                rows = await work.calls.after(after, _CALLS)
            if not rows:
                return path
            after = rows[-1].id
            await asyncio.to_thread(file.write, encoder.encode_lines(rows))
