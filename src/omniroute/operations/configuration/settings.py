"""The settings an operator may change while the gateway runs."""

from collections.abc import Callable
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
from msgspec import Struct

from omniroute.caller import Caller
from omniroute.catalog.names import did_you_mean
from omniroute.engine import Engine
from omniroute.errors import ValidationFailed
from omniroute.operations.access.sign_in import change_password
from omniroute.operations.configuration.sync.push import cloud_url
from omniroute.operations.inputs import field_problem
from omniroute.operations.routing.resilience import change_resilience
from omniroute.routing.combo_config import read_config
from omniroute.routing.quotas.rules import SETTING, read_setting
from omniroute.routing.settings import SETTING_ROWS
from omniroute.upstream.cloud_server import address_problem

_PASSWORDS = ("newPassword", "currentPassword")
_OF_RESILIENCE = {
    "requestRetry": ("max_retries", "maxRetries"),
    "maxRetryIntervalSec": ("max_retry_wait_sec", "maxRetryWaitSec"),
}
"""Settings that are part of what `/api/resilience` says about waiting for accounts."""


async def get_settings(engine: Engine, caller: Caller) -> dict[str, Any]:
    """Every setting with its value in force, and whether there is a password."""
    waits = engine.policy.settings.wait_for_cooldown
    return {
        **engine.snapshot.settings,
        **{name: getattr(waits, field) for name, (field, _) in _OF_RESILIENCE.items()},
        "hasPassword": engine.snapshot.password_hash is not None,
        "machineId": engine.installation.machine_id,
        "cloudConfigured": bool(cloud_url(engine)),
    }


async def change_settings(
    engine: Engine, caller: Caller, changes: dict[str, Any]
) -> dict[str, Any]:
    """Change what is named, keep the rest; a value of null restores the default.

    `newPassword` beside `currentPassword` replaces the password; neither is stored.

    Raises:
        ValidationFailed: nothing is named, a name is unknown, or a value does not fit.
        InvalidRequest: the present password is not given.
        Unauthenticated: it is the wrong one.
        RateLimited: too many wrong ones came from this address.
    """
    passwords = {name: changes[name] for name in _PASSWORDS if name in changes}
    waits = {told: changes[name] for name, (_, told) in _OF_RESILIENCE.items() if name in changes}
    apart = (*_PASSWORDS, *_OF_RESILIENCE)
    changes = {name: value for name, value in changes.items() if name not in apart}
    if changes:
        require_valid_settings(changes)
    if passwords:
        await _change_password(engine, caller, passwords)
    if waits:
        await change_resilience(engine, caller, {"waitForCooldown": waits})
    if not changes and (passwords or waits):
        return await get_settings(engine, caller)
    if not changes:
        raise ValidationFailed([("", "at least one setting is needed")])
    async with engine.configuration.change(caller, "settings.updated") as work:
        for name, value in changes.items():
            if value is None:
                await work.settings.delete(name)
            else:
                await work.settings.set(name, value)
        work.details.update(changes)
    return await get_settings(engine, caller)


async def _change_password(engine: Engine, caller: Caller, given: dict[str, Any]) -> None:
    new, current = given.get("newPassword"), given.get("currentPassword")
    if not isinstance(new, str):
        raise ValidationFailed([("newPassword", "must be a text")])
    if current is not None and not isinstance(current, str):
        raise ValidationFailed([("currentPassword", "must be a text")])
    await change_password(engine, caller, new, current)


def require_valid_settings(changes: dict[str, Any]) -> None:
    """Refuse settings that do not exist or do not fit.

    Raises:
        ValidationFailed: says which.
    """
    problems = [found for name in changes if (found := _problem(name, changes[name])) is not None]
    if problems:
        raise ValidationFailed(problems)


class ComboDefaults(Struct, frozen=True, rename="camel"):
    """What combos do unless they say otherwise; `provider_overrides` by provider id."""

    combo_defaults: dict[str, Any]
    provider_overrides: dict[str, dict[str, Any]]


class ComboDefaultsChange(Struct, frozen=True, rename="camel"):
    """Replaces what is named."""

    combo_defaults: dict[str, Any] | None = None
    provider_overrides: dict[str, dict[str, Any]] | None = None


async def combo_defaults(engine: Engine, caller: Caller) -> ComboDefaults:
    """The two layers under every combo's own configuration."""
    stored = engine.snapshot.settings
    return ComboDefaults(stored["comboDefaults"], stored["providerOverrides"])


async def change_combo_defaults(
    engine: Engine, caller: Caller, change: ComboDefaultsChange
) -> ComboDefaults:
    """Replace a layer.

    Raises:
        ValidationFailed: nothing is named, or a key is unknown or out of its limits.
    """
    named = {
        "comboDefaults": change.combo_defaults,
        "providerOverrides": change.provider_overrides,
    }
    said = {name: value for name, value in named.items() if value is not None}
    await change_settings(engine, caller, said)
    return await combo_defaults(engine, caller)


def _layer_problem(layer: Any) -> str | None:
    if not isinstance(layer, dict):
        return "must be an object"
    if "compositeTiers" in layer:
        return "compositeTiers belong to one combo"
    return _refused(read_config, layer)


def _refused(read: Callable[[Any], object], value: Any) -> str | None:
    """What is wrong with a value, in the words of what reads it."""
    try:
        read(value)
    except msgspec.ValidationError as error:
        field, message = field_problem(str(error))
        return f"{field}: {message}" if field else message
    return None


def _problem(name: str, value: Any) -> tuple[str, str] | None:
    if name not in SETTING_ROWS:
        return name, f"is not a setting.{did_you_mean(name, SETTING_ROWS)}"
    if value is None:
        return None
    found = _misfit(name, value)
    if found is not None:
        return f"{name}.{found[0]}".rstrip("."), found[1]
    told: str | None = None
    if name in ("comboDefaults", "providerOverrides"):
        layers = [value] if name == "comboDefaults" else list(value.values())
        told = next((told for layer in layers if (told := _layer_problem(layer))), None)
    elif name == SETTING:
        told = _refused(read_setting, value)
    elif name == "cloudUrl" and value:
        told = address_problem(value)
    return None if told is None else (name, told)


def _misfit(name: str, value: Any) -> tuple[str, str] | None:
    """Why a value does not fit its setting: the dotted place in it, and what is to be there."""
    kind = SETTING_ROWS[name].kind
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        return _expected(kind) or field_problem(str(error), kind)
    return None


def _expected(kind: Any) -> tuple[str, str] | None:
    """What a plain kind of value is to be, in words."""
    if kind is bool:
        return "", "must be true or false"
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Literal:
        return "", f"must be one of: {', '.join(repr(part) for part in parts)}"
    meta = kind.__metadata__[0] if origin is Annotated or hasattr(kind, "__metadata__") else None
    if meta is not None and parts[0] is int:
        return "", f"must be a whole number between {meta.ge} and {meta.le}"
    if meta is not None and parts[0] is str:
        return "", f"must be a text of at most {meta.max_length} characters"
    return None
