"""Finds the providers that can do a kind of work and recommends one."""

from typing import Any, get_args

import msgspec

from omniroute.engine import Engine
from omniroute.operations.inputs import convert_input
from omniroute.operations.models.discovery import (
    Ability,
    DiscoveryQuery,
    ProviderOffer,
    ProviderOffers,
    discover_providers,
)
from omniroute.skills.skill import Emit, Skill, SkillReply, SkillRequest
from omniroute_agents.words import named

ABILITIES: dict[Ability, str] = {
    "images": "image|vision",
    "video": "video",
    "audio": "audio|transcription|speech",
    "embeddings": "embed",
    "rerank": "rerank",
    "search": "search|web",
    "local": "local|self-hosted",
}
MOST_CANDIDATES = 10
MOST_TOLD = 3


async def run(engine: Engine, request: SkillRequest, emit: Emit) -> SkillReply:
    """Who can do it, who is set up for it, and whom to ask."""
    given = request.options.get("capability")
    asked = {"capability": given or named(request.last_text, ABILITIES, "chat")}
    found = await discover_providers(engine, request.caller, convert_input(DiscoveryQuery, asked))
    text = _told(found)
    await emit(text)
    return SkillReply(text, _metadata(found))


def _told(found: ProviderOffers) -> str:
    if not found.offers:
        return (
            f"No provider is known to offer {found.capability}. Add an account of one that does "
            "with POST /api/providers, and its model with POST /api/provider-models."
        )
    best = found.offers[0]
    others = [row.name for row in found.offers[1 : 1 + MOST_TOLD]]
    ready = sum(row.configured for row in found.offers)
    return (
        f"{len(found.offers)} providers offer {found.capability}, {ready} of them with an account. "
        f"Recommended: {best.name}, {_standing(best)}."
        + (f" Next: {', '.join(others)}." if others else "")
    )


def _standing(offer: ProviderOffer) -> str:
    if not offer.configured:
        return "which needs an account first"
    if not offer.active:
        return "whose account is switched off"
    health = "not asked yet" if offer.health == "none" else offer.health
    return f"{health}, {offer.model_count} models"


def _metadata(found: ProviderOffers) -> dict[str, Any]:
    facts: dict[str, Any] = msgspec.to_builtins(
        {
            "capability": found.capability,
            "totalCandidates": len(found.offers),
            "configuredCandidates": sum(row.configured for row in found.offers),
            "recommendedProvider": found.offers[0].id if found.offers else None,
            "candidates": list(found.offers[:MOST_CANDIDATES]),
        }
    )
    return facts


SKILL = Skill(
    id="provider-discovery",
    name="Provider discovery",
    description=(
        "Finds providers by what they can do ("
        + ", ".join(get_args(Ability))
        + ") and recommends one by account, health and models."
    ),
    tags=("providers", "discovery", "capabilities"),
    examples=("Which provider can embed text?", "Is there a local provider?"),
    time_limit_s=10.0,
    run=run,
)
