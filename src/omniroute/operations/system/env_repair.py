"""Repairing the env file: variables of sign-ins that are missing or broken. Source: 02 §27."""

import asyncio
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Annotated

from msgspec import Meta, Struct

from omniroute.caller import Caller
from omniroute.catalog.provider import Provider
from omniroute.engine import Engine
from omniroute.operations.access.audit import note
from omniroute.operations.accounts.oauth.providers import sign_in_provider
from omniroute.routing.oauth_clients import OAuthClients


class RepairInput(Struct, frozen=True):
    """Which provider's variables; None for all that somebody began to configure."""

    provider: Annotated[str, Meta(min_length=1, max_length=100)] | None = None


class EnvState(Struct, frozen=True, kw_only=True, rename="camel"):
    """What a repair would find. Names only, never values."""

    available: bool
    missing_count: int
    missing_keys: list[str]
    created: bool = False
    added: int = 0


class Repaired(Struct, frozen=True, kw_only=True, rename="camel"):
    """What was put in order, and what is still missing. `backup_path` is the file as it was before;
    its name alone for callers on other machines."""

    success: bool
    repaired: list[str]
    backup_path: str | None
    missing_keys: list[str]


async def env_state(engine: Engine, caller: Caller) -> EnvState:
    """The variables that sign-ins lack; nothing is changed.

    Raises:
        InvalidRequest: the file cannot be read.
    """
    missing = await asyncio.to_thread(_missing, engine, _concerned(engine))
    return EnvState(available=True, missing_count=len(missing), missing_keys=missing)


async def repair_env(engine: Engine, caller: Caller, which: RepairInput) -> Repaired:
    """Fix quoting and blanks, and restore what a backup of the file still has; it holds at once.

    Raises:
        NotFound: there is no such provider.
        InvalidRequest: the file cannot be read.
        StorageUnavailable: it cannot be written.
    """
    named = which.provider
    chosen = (sign_in_provider(engine, named),) if named else _concerned(engine)
    clients, file = engine.logins.clients, engine.env_file
    known = OAuthClients({**file.backed_up(), **file.merged()})  # names that only a backup has
    every = [name for row in chosen for name in known.every_variable(row)]
    every = [name for name in every if name not in file.real]
    fixed, backup = await asyncio.to_thread(file.repair, every, engine.now_ms())
    clients.reread(await asyncio.to_thread(file.merged))
    missing = await asyncio.to_thread(_missing, engine, chosen)
    if fixed:
        await note(engine, caller, "system.env_repaired", named, repaired=fixed)
    path = str(backup) if _is_here(caller) else backup.name if backup else None
    return Repaired(
        success=True,
        repaired=fixed,
        backup_path=path if backup is not None else None,
        missing_keys=missing,
    )


def _concerned(engine: Engine) -> tuple[Provider, ...]:
    """The providers somebody began to configure, or has signed in to."""
    rows = engine.snapshot.connections.values()
    used = {row.provider for row in rows if row.auth_type == "oauth" and row.refresh_token}
    known = OAuthClients({**engine.env_file.backed_up(), **engine.env_file.merged()})
    mentioned = {row.id for row in known.mentioned(engine.snapshot.providers.values())}
    return tuple(row for row in engine.snapshot.providers.values() if row.id in used | mentioned)


def _missing(engine: Engine, providers: Sequence[Provider]) -> list[str]:
    now = OAuthClients(engine.env_file.merged())
    names = [name for row in providers for name in now.missing(row)]
    return list(dict.fromkeys(names))


def _is_here(caller: Caller) -> bool:
    try:
        return ip_address(caller.address or "").is_loopback
    except ValueError:
        return False
