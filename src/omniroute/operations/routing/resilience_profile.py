"""Putting a whole preset of resilience settings in force. 03 §8.2."""

from typing import Any, Literal

from msgspec import Struct

from omniroute.caller import Caller
from omniroute.engine import Engine
from omniroute.operations.routing.resilience import change_resilience
from omniroute.routing.resilience.profiles import PRESETS


class ProfileQuery(Struct, frozen=True):
    """Which preset.

    Attributes:
        profile: `aggressive` fails over soon and asks fast, `conservative` takes its time.
    """

    profile: Literal["aggressive", "balanced", "conservative"]


class ProfileApplied(Struct, frozen=True):
    """A preset is in force; `settings` are all it sets."""

    applied: bool
    profile: str
    settings: dict[str, Any]


async def apply_profile(engine: Engine, caller: Caller, query: ProfileQuery) -> ProfileApplied:
    """Put a preset in force, for the next attempt on; what it does not set stays as it is."""
    await change_resilience(engine, caller, {"preset": query.profile})
    return ProfileApplied(True, query.profile, dict(PRESETS[query.profile]))
