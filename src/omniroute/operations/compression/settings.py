"""What is said in fewer characters, as one object (02 §11.1), and the shorter ways to change it."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, to_builtins

from omniroute.caller import Caller
from omniroute.engine import Engine
from omniroute.errors import ValidationFailed
from omniroute.operations.configuration.settings import change_settings
from omniroute.operations.inputs import convert_input
from omniroute.routing.combo_config import CompressionMode
from omniroute.routing.compression import (
    CavemanIntensity,
    Compression,
    Rtk,
    RtkIntensity,
    Share,
)

_WHOLE = frozenset({"comboOverrides"})
"""Members that are replaced, not merged: what is not named any more is gone."""


class ConfigureQuery(Struct, frozen=True, kw_only=True, rename="camel"):
    """What to change; the rest stays.

    Attributes:
        enabled: whether prompts are compressed at all.
        strategy: how, unless a combo says otherwise.
        auto_trigger_mode: how, from `maxTokens` on.
        max_tokens: estimated tokens of a prompt from which it is compressed; 0 is never.
        target_ratio: how much should be left, 0 to 1.
        preserve_system_prompt: whether system prompts stay as they are.
        mcp_description_compression_enabled: whether descriptions are listed short over MCP.
    """

    enabled: bool | UnsetType = UNSET
    strategy: CompressionMode | UnsetType = UNSET
    auto_trigger_mode: CompressionMode | UnsetType = UNSET
    max_tokens: Annotated[int, Meta(ge=0, le=1_000_000_000)] | UnsetType = UNSET
    target_ratio: Share | UnsetType = UNSET
    preserve_system_prompt: bool | UnsetType = UNSET
    mcp_description_compression_enabled: bool | UnsetType = UNSET


class ConfiguredSettings(Struct, frozen=True, kw_only=True, rename="camel"):
    """What holds now, in the words of the query."""

    enabled: bool
    strategy: CompressionMode
    auto_trigger_mode: CompressionMode
    max_tokens: int
    target_ratio: float
    preserve_system_prompt: bool
    mcp_description_compression_enabled: bool


class Configured(Struct, frozen=True, kw_only=True):
    """What was changed, in the words it is stored by, and what holds now."""

    success: bool
    updated: dict[str, Any]
    settings: ConfiguredSettings


class EngineQuery(Struct, frozen=True, kw_only=True, rename="camel"):
    """Which engine compresses prompts.

    Attributes:
        engine: `caveman` condenses prose, `rtk` outputs of commands, `stacked` both in turn.
        caveman_intensity: how much prose is condensed.
        rtk_intensity: how much outputs are.
        output_mode: whether models are asked to answer concisely.
    """

    engine: Literal["off", "caveman", "rtk", "stacked"] | UnsetType = UNSET
    caveman_intensity: CavemanIntensity | UnsetType = UNSET
    rtk_intensity: RtkIntensity | UnsetType = UNSET
    output_mode: bool | UnsetType = UNSET


class EngineSet(Struct, frozen=True):
    """Everything that holds now."""

    success: bool
    settings: Compression


_STORED = {"strategy": "defaultMode", "maxTokens": "autoTriggerTokens"}
_ENGINES: dict[str, dict[str, Any]] = {
    "off": {"enabled": False, "defaultMode": "off"},
    "caveman": {"enabled": True, "defaultMode": "standard", "cavemanConfig": {"enabled": True}},
    "rtk": {"enabled": True, "defaultMode": "rtk", "rtkConfig": {"enabled": True}},
    "stacked": {
        "enabled": True,
        "defaultMode": "stacked",
        "cavemanConfig": {"enabled": True},
        "rtkConfig": {"enabled": True},
    },
}
"""What each engine means among the settings."""


async def compression_settings(engine: Engine, caller: Caller) -> Compression:
    """Everything that holds, with its defaults."""
    return engine.snapshot.compression


async def change_compression(engine: Engine, caller: Caller, change: dict[str, Any]) -> Compression:
    """Change what is named, member by member; the rest stays. In force from the next request on.

    Raises:
        ValidationFailed: nothing is named, or a member is unknown, out of its limits, or names a
            combo that does not exist.
    """
    if not change:
        raise ValidationFailed([("", "at least one field is needed")])
    whole = _merged(to_builtins(engine.snapshot.compression), change)
    wanted = convert_input(Compression, whole)
    await _require_known(engine, wanted, change)
    await change_settings(engine, caller, {"compression": to_builtins(wanted)})
    return engine.snapshot.compression


async def rtk_settings(engine: Engine, caller: Caller) -> Rtk:
    """How outputs of commands would be condensed."""
    return engine.snapshot.compression.rtk_config


async def change_rtk(engine: Engine, caller: Caller, change: dict[str, Any]) -> Rtk:
    """Change how outputs of commands would be condensed.

    Raises:
        ValidationFailed: nothing is named, or a member is unknown or out of its limits.
    """
    if not change:
        raise ValidationFailed([("", "at least one field is needed")])
    return (await change_compression(engine, caller, {"rtkConfig": change})).rtk_config


async def configure_compression(
    engine: Engine, caller: Caller, query: ConfigureQuery
) -> Configured:
    """Change what is named.

    Raises:
        ValidationFailed: nothing is named.
    """
    said: dict[str, Any] = to_builtins(query)  # what is unset is not in it
    updated = {_STORED.get(name, name): value for name, value in said.items()}
    now = await change_compression(engine, caller, updated)
    return Configured(
        success=True,
        updated=updated,
        settings=ConfiguredSettings(
            enabled=now.enabled,
            strategy=now.default_mode,
            auto_trigger_mode=now.auto_trigger_mode,
            max_tokens=now.auto_trigger_tokens,
            target_ratio=now.target_ratio,
            preserve_system_prompt=now.preserve_system_prompt,
            mcp_description_compression_enabled=now.mcp_description_compression_enabled,
        ),
    )


async def set_engine(engine: Engine, caller: Caller, query: EngineQuery) -> EngineSet:
    """Choose an engine, or how strongly it works.

    Raises:
        ValidationFailed: nothing is named.
    """
    change: dict[str, Any] = {}
    if query.engine is not UNSET:
        change = _ENGINES[query.engine]
    for section, member, value in (
        ("cavemanConfig", "intensity", query.caveman_intensity),
        ("rtkConfig", "intensity", query.rtk_intensity),
        ("cavemanOutputMode", "enabled", query.output_mode),
    ):
        if value is not UNSET:
            change = _merged(change, {section: {member: value}})
    return EngineSet(True, await change_compression(engine, caller, change))


def _merged(old: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    found = dict(old)
    for name, value in change.items():
        before = old.get(name)
        if isinstance(value, dict) and isinstance(before, dict) and name not in _WHOLE:
            value = _merged(before, value)
        found[name] = value
    return found


async def _require_known(engine: Engine, wanted: Compression, change: dict[str, Any]) -> None:
    combos = {*engine.snapshot.combos, *engine.snapshot.combos_by_id}
    problems = [
        (f"comboOverrides.{name}", "is not a combo")
        for name in wanted.combo_overrides
        if "comboOverrides" in change and name not in combos
    ]
    named = wanted.compression_combo_id
    if "compressionComboId" in change and named is not None:
        async with engine.database.reading() as work:
            if await work.compression_combos.get(named) is None:
                problems.append(("compressionComboId", "is not a compression combo"))
    if problems:
        raise ValidationFailed(problems)
