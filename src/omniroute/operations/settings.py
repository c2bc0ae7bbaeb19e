"""The settings an operator may change while the gateway runs."""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct

from omniroute.caller import Caller
from omniroute.catalog.names import did_you_mean
from omniroute.engine import Engine
from omniroute.errors import ValidationFailed
from omniroute.operations.inputs import field_problem
from omniroute.operations.sign_in import change_password
from omniroute.routing.combo_config import read_config
from omniroute.routing.naming.resolve import AUTO_VARIANTS
from omniroute.routing.quotas.rules import SETTING, read_setting
from omniroute.routing.shaping import SHAPES
from omniroute.routing.snapshot import SETTINGS
from omniroute.routing.turns.accounts import ACCOUNT_STRATEGIES

_CHOICES: dict[str, tuple[str, ...]] = {
    "mcpTransport": ("all", "stdio", "sse", "streamable-http"),
    "autoRoutingDefaultVariant": ("", *AUTO_VARIANTS),
    "fallbackStrategy": tuple(ACCOUNT_STRATEGIES),
    "sessionAffinity": ("off", "explicit", "always"),
}
_PASSWORDS = ("newPassword", "currentPassword")
_RANGES: dict[str, tuple[int, int]] = {
    "a2aTaskTtlMinutes": (1, 10_080),
    "stickyRoundRobinLimit": (0, 1_000),
    "intentSimpleMaxWords": (1, 500),
    "idempotencyWindowMs": (1, 3_600_000),
}


async def get_settings(engine: Engine, caller: Caller) -> dict[str, Any]:
    """Every setting with its value in force, and whether there is a password."""
    return {**engine.snapshot.settings, "hasPassword": engine.snapshot.password_hash is not None}


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
    changes = {name: value for name, value in changes.items() if name not in _PASSWORDS}
    if changes:
        require_valid_settings(changes)
    if passwords:
        await _change_password(engine, caller, passwords)
        if not changes:
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
    problems = [(name, problem) for name in changes if (problem := _problem(name, changes[name]))]
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


def _shape_problem(name: str, value: Any) -> str | None:
    try:
        msgspec.convert(value, SHAPES[name])
    except msgspec.ValidationError as error:
        field, message = field_problem(str(error))
        return f"{field}: {message}" if field else message
    return None


def _problem(name: str, value: Any) -> str | None:
    if name not in SETTINGS:
        return f"is not a setting.{did_you_mean(name, SETTINGS)}"
    if value is None:
        return None
    if type(value) is not type(SETTINGS[name]):
        kind = {"bool": "true or false", "int": "a whole number", "str": "a text"}
        return f"must be {kind.get(type(SETTINGS[name]).__name__, 'an object')}"
    if name in SHAPES:
        return _shape_problem(name, value)
    if name in ("comboDefaults", "providerOverrides"):
        layers = [value] if name == "comboDefaults" else list(value.values())
        return next((told for layer in layers if (told := _layer_problem(layer))), None)
    if name == SETTING:
        return _refused(read_setting, value)
    if name in _CHOICES and value not in _CHOICES[name]:
        return f"must be one of: {', '.join(_CHOICES[name])}"
    low, high = _RANGES.get(name, (0, 0))
    if name in _RANGES and not low <= value <= high:
        return f"must be between {low} and {high}"
    return None
