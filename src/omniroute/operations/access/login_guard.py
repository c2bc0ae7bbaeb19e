"""Stops whoever guesses passwords: after a few failures nobody listens. 02 §3.1, §14.1."""

from msgspec import Struct
from msgspec.structs import replace

from omniroute.caller import Caller
from omniroute.engine import Engine
from omniroute.errors import RateLimited, ValidationFailed
from omniroute.operations.access.audit import note
from omniroute.storage.records.access import Lockout

MOST_FAILURES = 5
WINDOW_MS = 15 * 60_000
LOCKED_MS = 15 * 60_000


class LockedIdentifier(Struct, frozen=True, kw_only=True, rename="camel"):
    """Somebody who is locked out; `locked_until` is epoch ms."""

    identifier: str
    locked_until: int
    remaining_ms: int


def counted(known: Lockout, now_ms: int) -> Lockout:
    """What is known of somebody who tries once more; attempts of long ago are forgotten.

    An attempt counts before anybody looks at it, so that many at once are not more than a few.
    """
    recent = tuple(at for at in known.attempts if at > now_ms - WINDOW_MS)
    return replace(known, attempts=(*recent, now_ms))


async def count_attempt(engine: Engine, who: str) -> bool:
    """Count an attempt to sign in.

    Returns:
        Whether it is the last one: if it fails, `who` is to be locked out.

    Raises:
        RateLimited: `who` is locked out; tells for how long.
    """
    now_ms = engine.now_ms()
    async with engine.database.work() as work:
        known = await work.lockouts.claim(who)
        if known.locked_until_ms > now_ms:
            raise _locked(known.locked_until_ms - now_ms)
        now_known = counted(known, now_ms)
        last = len(now_known.attempts) >= MOST_FAILURES
        until_ms = now_ms + LOCKED_MS if last else 0
        # Locked already while the last one is looked at: others that try meanwhile must wait.
        await work.lockouts.save(replace(now_known, locked_until_ms=until_ms))
    return last


async def forget_attempts(engine: Engine, who: str) -> None:
    """Somebody has shown the password: what went before does not count any more."""
    async with engine.database.work() as work:
        await work.lockouts.drop(who)


def _locked(remaining_ms: int) -> RateLimited:
    wait_s = -(-remaining_ms // 1000)
    return RateLimited(
        f"Too many failed attempts. Try again in {-(-wait_s // 60)} minutes.",
        code="locked_out",
        retry_after_s=wait_s,
    )


def lockout_error() -> RateLimited:
    """What the attempt hears that was one too many."""
    return _locked(LOCKED_MS)


async def locked_identifiers(engine: Engine, caller: Caller) -> list[LockedIdentifier]:
    """Who is locked out, those that must wait longest first."""
    now_ms = engine.now_ms()
    async with engine.database.reading() as work:
        rows = await work.lockouts.locked(now_ms)
    return [
        LockedIdentifier(
            identifier=row.identifier,
            locked_until=row.locked_until_ms,
            remaining_ms=row.locked_until_ms - now_ms,
        )
        for row in rows
    ]


async def unlock(engine: Engine, caller: Caller, identifier: str | None) -> None:
    """Let somebody try again at once; None lets everybody.

    Raises:
        ValidationFailed: the identifier is blank.
    """
    if identifier is not None and not identifier.strip():
        raise ValidationFailed([("identifier", "must not be blank")])
    async with engine.database.work() as work:
        await work.lockouts.drop(identifier)
    await note(engine, caller, "auth.unlocked", identifier or "everybody")
