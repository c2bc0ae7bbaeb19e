"""The password of the management plane: showing it, setting it, and whether it is asked for."""

import asyncio
from typing import Annotated

import structlog
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from msgspec import Meta, Struct

from omniroute.caller import SYSTEM, Caller
from omniroute.engine import Engine
from omniroute.errors import Forbidden, InvalidRequest, Unauthenticated, ValidationFailed
from omniroute.operations.access.audit import note
from omniroute.operations.access.login_guard import count_attempt, forget_attempts, lockout_error

log = structlog.get_logger(__name__)

TARGET = "dashboard-auth"
SHORTEST_PASSWORD = 4
_NOWHERE = "__unknown__"
_HASHER = PasswordHasher()

NewPassword = Annotated[str, Meta(min_length=SHORTEST_PASSWORD, max_length=200)]


class SignIn(Struct, frozen=True):
    """The password of whoever wants in."""

    password: Annotated[str, Meta(min_length=1, max_length=200)]


class LoginRules(Struct, frozen=True, kw_only=True, rename="camel"):
    """Whether somebody has to sign in (02 §3.4)."""

    require_login: bool
    has_password: bool
    setup_complete: bool


class LoginRulesChange(Struct, frozen=True, kw_only=True, rename="camel"):
    """Changes what is named; at least one."""

    require_login: bool | None = None
    password: NewPassword | None = None


async def sign_in(engine: Engine, caller: Caller, given: SignIn) -> str:
    """Check a password.

    Returns:
        The hash it fits, which a session is bound to.

    Raises:
        Forbidden: nobody has set a password yet.
        Unauthenticated: it is the wrong one.
        RateLimited: too many wrong ones came from this address.
    """
    stored = engine.snapshot.password_hash
    if stored is None:
        await note(engine, caller, "auth.login.setup_required", TARGET, status="failure")
        raise Forbidden(
            "Nobody has set a password yet. Set one on this machine with "
            "PUT /api/settings/require-login, or start with INITIAL_PASSWORD.",
            code="setup_required",
        )
    who = f"login:{caller.address or _NOWHERE}"
    guarded = bool(engine.snapshot.settings["bruteForceProtection"])
    last = await count_attempt(engine, who) if guarded else False
    if not await verified(stored, given.password):
        action = "auth.login.locked" if last else "auth.login.failed"
        await note(engine, caller, action, TARGET, status="blocked" if last else "failure")
        if last:
            raise lockout_error()
        raise Unauthenticated("The password is wrong.", code="wrong_password")
    await forget_attempts(engine, who)
    stored = await _upgraded(engine, stored, given.password)
    await note(engine, caller, "auth.login.success", TARGET)
    return stored


async def login_rules(engine: Engine, caller: Caller) -> LoginRules:
    """Whether somebody has to sign in."""
    snapshot = engine.snapshot
    return LoginRules(
        require_login=snapshot.settings["requireLogin"] is not False,
        has_password=snapshot.password_hash is not None,
        setup_complete=bool(snapshot.settings["setupComplete"]),
    )


async def change_login_rules(
    engine: Engine, caller: Caller, change: LoginRulesChange
) -> LoginRules:
    """Set a password, or say whether one is asked for. A new password ends all sessions.

    Raises:
        ValidationFailed: nothing is named.
    """
    if change.require_login is None and change.password is None:
        raise ValidationFailed([("", "requireLogin or password is needed")])
    if change.password is not None:
        await set_password(engine, caller, change.password)
    if change.require_login is not None:
        async with engine.configuration.change(caller, "settings.updated", TARGET) as work:
            await work.settings.set("requireLogin", change.require_login)
            work.details["requireLogin"] = change.require_login
        if not change.require_login:
            log.warning("nobody_has_to_sign_in", told="whoever reaches the gateway may manage it")
    return await login_rules(engine, caller)


async def change_password(engine: Engine, caller: Caller, new: str, current: str | None) -> None:
    """Replace the password of somebody who knows the present one.

    Raises:
        ValidationFailed: the new one is too short or too long.
        InvalidRequest: the present one is not given.
        Unauthenticated: it is not the present one.
        RateLimited: too many wrong ones came from this address.
    """
    if not SHORTEST_PASSWORD <= len(new) <= 200:
        told = f"must have {SHORTEST_PASSWORD} to 200 characters"
        raise ValidationFailed([("newPassword", told)])
    if engine.snapshot.password_hash is not None:
        if current is None:
            raise InvalidRequest("Give the present password, too.", param="currentPassword")
        await sign_in(engine, caller, SignIn(current))
    await set_password(engine, caller, new)


async def set_password(engine: Engine, caller: Caller, password: str) -> None:
    """Have a password count from now on; all sessions end."""
    hashed = await asyncio.to_thread(_HASHER.hash, password)
    async with engine.configuration.change(caller, "auth.password.changed", TARGET) as work:
        await work.access.set_password_hash(hashed)
        await work.settings.set("setupComplete", value=True)


async def ensure_password(engine: Engine, password: str | None) -> None:
    """Have the password of the environment count, as long as nobody has set one.

    Raises:
        InvalidRequest: it is the one sample files ship with, or too short.
    """
    if password is None or engine.snapshot.password_hash is not None:
        return
    if password == "CHANGEME" or len(password) < SHORTEST_PASSWORD:  # noqa: S105
        raise InvalidRequest(
            f"INITIAL_PASSWORD must be a password of your own with at least {SHORTEST_PASSWORD} "
            "characters.",
            param="INITIAL_PASSWORD",
        )
    await set_password(engine, SYSTEM, password)


async def verified(stored: str, password: str) -> bool:
    """Whether a password is the one that was hashed, with argon2 or, in imports, with bcrypt."""
    return await asyncio.to_thread(_verify, stored, password)


def _verify(stored: str, password: str) -> bool:
    if stored.startswith("$2"):
        import bcrypt  # rarely needed

        try:
            return bcrypt.checkpw(password.encode()[:72], stored.encode())
        except ValueError:
            return False
    try:
        return _HASHER.verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False


async def _upgraded(engine: Engine, stored: str, password: str) -> str:
    """An imported or older hash is replaced by one of today; sessions are bound to the new one."""
    if stored.startswith("$argon2") and not _HASHER.check_needs_rehash(stored):
        return stored
    await set_password(engine, SYSTEM, password)
    return engine.snapshot.password_hash or stored
