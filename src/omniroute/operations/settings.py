"""The settings an operator may change while the gateway runs."""

from typing import Any

from omniroute.caller import Caller
from omniroute.catalog.names import did_you_mean
from omniroute.engine import Engine
from omniroute.errors import ValidationFailed
from omniroute.routing.resolve import AUTO_VARIANTS
from omniroute.routing.snapshot import SETTINGS

_CHOICES: dict[str, tuple[str, ...]] = {
    "mcpTransport": ("all", "stdio", "sse", "streamable-http"),
    "autoRoutingDefaultVariant": ("", *AUTO_VARIANTS),
}
_RANGES: dict[str, tuple[int, int]] = {"a2aTaskTtlMinutes": (1, 10_080)}


async def get_settings(engine: Engine, caller: Caller) -> dict[str, Any]:
    """Every setting with its value in force."""
    return dict(engine.snapshot.settings)


async def change_settings(
    engine: Engine, caller: Caller, changes: dict[str, Any]
) -> dict[str, Any]:
    """Change what is named, keep the rest; a value of null restores the default.

    Raises:
        ValidationFailed: nothing is named, a name is unknown, or a value does not fit.
    """
    if not changes:
        raise ValidationFailed([("", "at least one setting is needed")])
    problems = [(name, problem) for name in changes if (problem := _problem(name, changes[name]))]
    if problems:
        raise ValidationFailed(problems)
    async with engine.configuration.change() as work:
        for name, value in changes.items():
            if value is None:
                await work.settings.delete(name)
            else:
                await work.settings.set(name, value)
    return await get_settings(engine, caller)


def _problem(name: str, value: Any) -> str | None:
    if name not in SETTINGS:
        return f"is not a setting.{did_you_mean(name, SETTINGS)}"
    if value is None:
        return None
    if type(value) is not type(SETTINGS[name]):
        kind = {"bool": "true or false", "int": "a whole number", "str": "a text"}
        return f"must be {kind[type(SETTINGS[name]).__name__]}"
    if name in _CHOICES and value not in _CHOICES[name]:
        return f"must be one of: {', '.join(_CHOICES[name])}"
    low, high = _RANGES.get(name, (0, 0))
    if name in _RANGES and not low <= value <= high:
        return f"must be between {low} and {high}"
    return None
