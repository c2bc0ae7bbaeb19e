"""Backups, export and import as routes (02 §15)."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from typing import Any

from litestar import Request
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody
from litestar.response import Stream
from msgspec import Struct

from omniroute.clock import iso
from omniroute.engine import Engine
from omniroute.http.dependencies import Operator, TheEngine
from omniroute.http.problems import delete, get, post, put
from omniroute.http.uploads import save_upload
from omniroute.operations.inputs import decode_input
from omniroute.operations.storage import backups
from omniroute.operations.storage.full_export import full_export
from omniroute.storage.backups.checking import LARGEST_BYTES, require_size

_CHUNK = 256 * 1024


class BackupList(Struct, frozen=True):
    """Every backup."""

    backups: list[backups.BackupView]


@get("/api/db-backups", tags=["Backups"], operation_id="list_backups")
async def list_backups(engine: TheEngine, operator: Operator) -> BackupList:
    """Every backup, newest first, with whether its credentials can be opened here."""
    return BackupList(await backups.list_backups(engine, operator))


@put("/api/db-backups", tags=["Backups"], operation_id="create_backup")
async def create_backup(engine: TheEngine, operator: Operator) -> backups.Created:
    """Back the database up now, while requests go on."""
    return await backups.create_backup(engine, operator)


@post("/api/db-backups", status_code=200, tags=["Backups"], operation_id="restore_backup")
async def restore_backup(
    engine: TheEngine, operator: Operator, data: JSONBody[backups.RestoreInput]
) -> backups.Restored:
    """Go back to a backup. What is there now is backed up first."""
    return await backups.restore_backup(engine, operator, data)


@delete("/api/db-backups", status_code=200, tags=["Backups"], operation_id="clean_backups")
async def clean_backups(
    request: Request[Any, Any, Any], engine: TheEngine, operator: Operator
) -> backups.Cleaned:
    """Remove old backups: keep `keepLatest` of them, none older than `retentionDays`."""
    wanted = decode_input(backups.CleanInput, await request.body() or b"{}")
    return await backups.clean_backups(engine, operator, wanted)


@get(
    "/api/db-backups/export",
    tags=["Backups"],
    operation_id="export_database",
    media_type="application/octet-stream",
)
async def export_database(engine: TheEngine, operator: Operator) -> Stream:
    """The whole database as one SQLite file, whatever database the gateway stands on."""
    return await _download(
        lambda: backups.exported(engine, operator),
        f"omniroute-backup-{_stamp(engine)}.sqlite",
        "application/octet-stream",
    )


@get(
    "/api/db-backups/exportAll",
    tags=["Backups"],
    operation_id="export_all",
    media_type="application/gzip",
)
async def export_all(engine: TheEngine, operator: Operator) -> Stream:
    """The database with settings, combos, accounts, keys and calls as JSON, in one archive."""
    return await _download(
        lambda: full_export(engine, operator),
        f"omniroute-full-backup-{_stamp(engine)}.tar.gz",
        "application/gzip",
    )


@post("/api/db-backups/import", status_code=200, tags=["Backups"], operation_id="import_database")
async def import_database(
    request: Request[Any, Any, Any], engine: TheEngine, operator: Operator
) -> backups.Imported:
    """Replace everything with a file: the form field `file`, or the body with `?filename=`."""
    with engine.backups.folder.draft() as place:
        path = place / "upload.sqlite"
        filename = await save_upload(request, path, LARGEST_BYTES)
        require_size((await asyncio.to_thread(path.stat)).st_size)
        return await backups.import_file(engine, operator, path, filename)


def _stamp(engine: Engine) -> str:
    return iso(engine.now_ms()).replace(":", "-").replace(".", "-")


async def _download(
    made: Callable[[], AbstractAsyncContextManager[Path]], filename: str, media_type: str
) -> Stream:
    """A file that is made for one answer and gone after it."""
    stack = AsyncExitStack()
    path = await stack.enter_async_context(made())
    size = (await asyncio.to_thread(path.stat)).st_size
    return Stream(
        lambda: _read(stack, path),
        media_type=media_type,
        headers={
            "content-disposition": f'attachment; filename="{filename}"',
            "content-length": str(size),
            "cache-control": "no-cache, no-store",
        },
    )


async def _read(stack: AsyncExitStack, path: Path) -> AsyncGenerator[bytes]:
    async with stack:
        with await asyncio.to_thread(path.open, "rb") as file:
            while chunk := await asyncio.to_thread(file.read, _CHUNK):
                yield chunk


BACKUPS: tuple[HTTPRouteHandler, ...] = (
    list_backups,
    create_backup,
    restore_backup,
    clean_backups,
    export_database,
    export_all,
    import_database,
)
"""Every route about backups."""
