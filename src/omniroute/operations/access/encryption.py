"""The keys that guard what is stored: what each seals, and new ones in their place. 02 §30."""

import asyncio
from collections.abc import Callable
from typing import Literal, TypeAlias

from msgspec import Struct

from omniroute.caller import Caller
from omniroute.engine import Engine
from omniroute.errors import Conflict, InvalidRequest
from omniroute.operations.access.audit import note

KeyUse: TypeAlias = Literal["current", "older", "missing"]
_MOST_NAMED = 100


class KeyView(Struct, frozen=True, kw_only=True):
    """A key that seals something or is here to. `use` is `missing` where nothing opens with it;
    `kept` says that its file stays until an operator removes it."""

    id: str
    use: KeyUse
    values: int
    kept: bool


class SecretsStatus(Struct, frozen=True, kw_only=True, rename="camel"):
    """Which keys are in use. `unreadable` names values as `table:id:column`, the first hundred."""

    source: Literal["file", "environment"]
    current_key: str
    rotating: bool
    keys: list[KeyView]
    unreadable_count: int
    unreadable: list[str]
    session_secret_source: Literal["file", "environment"]


class RotateInput(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Whether the old key is kept to open old backups with."""

    keep_old: bool = False


class RotateView(Struct, frozen=True, kw_only=True, rename="camel"):
    """What a rotation did: the ids of both keys, how many rows were sealed anew, and how many
    values are left under which older key because they do not open."""

    previous_key: str
    current_key: str
    resealed: int
    left: dict[str, int]
    advice: list[str]


class SessionsEnded(Struct, frozen=True, kw_only=True):
    """That browsers have to sign in again."""

    success: bool


async def secrets_status(engine: Engine, caller: Caller) -> SecretsStatus:
    """Which keys are in use, how many values each seals, and what cannot be opened."""
    rotation = engine.key_rotation
    rotation.box.renew()
    async with engine.database.reading() as work:
        counts = await work.sealed.count()
        unreadable = await work.sealed.unreadable()
    box, retired = rotation.box, rotation.files.retired().values()
    current = box.key_id
    ids = sorted({*counts, *box.key_ids}, key=lambda id_: (id_ != current, id_))
    return SecretsStatus(
        source="environment" if rotation.files.is_given else "file",
        current_key=current,
        rotating=rotation.files.is_rotating,
        keys=[
            KeyView(id=id_, use=_use(engine, id_), values=counts.get(id_, 0), kept=id_ in retired)
            for id_ in ids
        ],
        unreadable_count=len(unreadable),
        unreadable=unreadable[:_MOST_NAMED],
        session_secret_source="environment" if engine.session_secret.is_given else "file",
    )


async def rotate_storage_key(
    engine: Engine,
    caller: Caller,
    wanted: RotateInput,
    progress: Callable[[str], None] = lambda _: None,
) -> RotateView:
    """Make a new storage key and seal everything under it, while requests go on.

    Where the environment gives the key, everything is sealed under that one instead. A rotation
    that was interrupted goes on.

    Raises:
        InvalidRequest: there is no old key to keep here.
        Conflict: another process rotates right now, or gateways elsewhere use the database.
        StorageUnavailable: the key files or the database cannot be written.
    """
    rotation = engine.key_rotation
    if not rotation.files.is_given:
        await _require_one_directory(engine)
    elif wanted.keep_old:
        raise InvalidRequest(
            "The storage key comes from STORAGE_ENCRYPTION_KEY, so there is no file to keep. Note"
            " the value of the variable before this one, with the backups made under it.",
            param="keepOld",
        )
    before = rotation.box.key_id
    done = await rotation.rotate(keep_old=wanted.keep_old, progress=progress)
    await note(
        engine,
        caller,
        "secrets.rotated",
        "storage-key",
        previousKey=before,
        currentKey=done.key,
        resealed=done.resealed,
        left=done.left,
    )
    return RotateView(
        previous_key=before,
        current_key=done.key,
        resealed=done.resealed,
        left=done.left,
        advice=_advice(engine, done.left),
    )


async def rotate_session_secret(engine: Engine, caller: Caller) -> SessionsEnded:
    """End every browser session: another secret signs the next ones, from now on.

    Raises:
        Conflict: the environment gives the secret.
        StorageUnavailable: it cannot be written.
    """
    await asyncio.to_thread(engine.session_secret.rotate)
    await note(engine, caller, "secrets.rotated", "session-secret")
    return SessionsEnded(success=True)


def _use(engine: Engine, id_: str) -> KeyUse:
    box = engine.key_rotation.box
    if id_ == box.key_id:
        return "current"
    return "older" if id_ in box.key_ids else "missing"


def _advice(engine: Engine, left: dict[str, int]) -> list[str]:
    files = engine.key_rotation.files
    told = []
    if left:
        told.append(
            f"{sum(left.values())} values do not open and are as they were; `omniroute secrets"
            " status` names them. Enter them again, or bring their key back and rotate again."
        )
    if files.is_given and not left:
        told.append(
            "Nothing is sealed under STORAGE_ENCRYPTION_KEY_PREVIOUS any more. Once every gateway"
            " on this database has the new key, remove that variable; keep its value with backups"
            " that were made under it."
        )
    if kept := files.retired():
        names = ", ".join(f"secrets/{name}" for name in kept)
        told.append(f"Old backups open with {names}. Remove it when none is worth restoring.")
    return told


async def _require_one_directory(engine: Engine) -> None:
    """A new key in a file reaches the processes on this data directory alone."""
    if engine.database.kind == "sqlite":
        return
    home = engine.installation.machine_id
    async with engine.database.reading() as work:
        holders = await work.leases.holders()
    others = sorted({name.partition(":")[0] for name in holders} - {home})
    if others:
        raise Conflict(
            f"Gateways with other data directories use this database ({', '.join(others)}); they"
            " would not learn of a key that is made here. Give all of them STORAGE_ENCRYPTION_KEY"
            " (new) and STORAGE_ENCRYPTION_KEY_PREVIOUS (old), restart them, then rotate again."
        )
