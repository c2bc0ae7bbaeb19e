"""Which providers can do a kind of work, the best to ask first."""

from typing import Literal, TypeAlias

from msgspec import Struct

from omniroute.caller import Caller
from omniroute.engine import Engine
from omniroute.operations.models.model_catalog import CatalogProvider, model_catalog
from omniroute.routing.snapshot import DEMO_ACCOUNT
from omniroute.upstream.addresses import host_refusal

Ability: TypeAlias = Literal[
    "chat", "images", "video", "audio", "embeddings", "rerank", "search", "local"
]
ProviderHealth: TypeAlias = Literal["healthy", "recovering", "down", "none"]

HEALTH: dict[str, ProviderHealth] = {
    "CLOSED": "healthy",
    "HALF_OPEN": "recovering",
    "OPEN": "down",
}
HEALTH_POINTS: dict[ProviderHealth, int] = {"healthy": 20, "recovering": 5, "down": -100, "none": 0}

MATCH_POINTS = 100
CHAT_POINTS = 40
ACTIVE_POINTS = 30
CONFIGURED_POINTS = 20
MOST_MODEL_POINTS = 25


class DiscoveryQuery(Struct, frozen=True, kw_only=True):
    """What is wanted. `local`: a server on this machine or in the private network."""

    capability: Ability = "chat"


class ProviderOffer(Struct, frozen=True, kw_only=True, rename="camel"):
    """One provider that can do it.

    `configured`: it has an account; `active`: one that is switched on. `health` is that of its
    breaker, `none` while nobody has asked it anything.
    """

    id: str
    name: str
    capabilities: tuple[str, ...]
    configured: bool
    active: bool
    health: ProviderHealth
    model_count: int


class ProviderOffers(Struct, frozen=True, kw_only=True):
    """Everybody who can do it, the best first."""

    capability: Ability
    offers: tuple[ProviderOffer, ...]


class ProviderList(Struct, frozen=True, kw_only=True):
    """Every provider, by id."""

    providers: tuple[ProviderOffer, ...]


async def list_providers(engine: Engine, caller: Caller) -> ProviderList:
    """Every provider of the catalogue with what it can do and how it is."""
    catalog = (await model_catalog(engine, caller)).catalog
    offers = (_offer(engine, provider, row) for provider, row in sorted(catalog.items()))
    return ProviderList(providers=tuple(offers))


async def discover_providers(
    engine: Engine, caller: Caller, query: DiscoveryQuery
) -> ProviderOffers:
    """Rank the providers of the catalogue that have the capability.

    The built-in demo is left out as soon as there is an account of a real provider.
    """
    catalog = (await model_catalog(engine, caller)).catalog
    real = any(row.id != DEMO_ACCOUNT.id for row in engine.snapshot.connections.values())
    offers = [
        _offer(engine, provider, row)
        for provider, row in catalog.items()
        if not (real and provider == DEMO_ACCOUNT.provider)
    ]
    fitting = [row for row in offers if query.capability in row.capabilities]
    best_first = sorted(fitting, key=lambda row: (-score(row), row.id))
    return ProviderOffers(capability=query.capability, offers=tuple(best_first))


def score(offer: ProviderOffer) -> int:
    """How good a choice a provider that has the capability is (04 §8.3)."""
    return (
        MATCH_POINTS
        + CHAT_POINTS * ("chat" in offer.capabilities)
        + ACTIVE_POINTS * offer.active
        + CONFIGURED_POINTS * offer.configured
        + HEALTH_POINTS[offer.health]
        + min(offer.model_count, MOST_MODEL_POINTS)
    )


def _offer(engine: Engine, provider: str, row: CatalogProvider) -> ProviderOffer:
    snapshot = engine.snapshot
    able = {name for model in row.models for name in _abilities(model.supported_endpoints)}
    if _is_local(engine, provider):
        able.add("local")
    breaker = engine.health.view().breakers.get(provider)
    return ProviderOffer(
        id=provider,
        name=row.provider,
        capabilities=tuple(sorted(able)),
        configured=any(one.provider == provider for one in snapshot.connections.values()),
        active=row.active,
        health="none" if breaker is None else HEALTH[breaker.state(engine.now_ms())],
        model_count=len(row.models),
    )


def _abilities(endpoints: tuple[str, ...]) -> set[str]:
    """Abilities behind endpoints: `audio-speech` and its like are one."""
    return {name.partition("-")[0] for name in endpoints}


def _is_local(engine: Engine, provider: str) -> bool:
    row = engine.snapshot.providers[provider]
    if row.probe_port is not None:
        return True
    authority = row.base_url.partition("://")[2].partition("/")[0].rpartition("@")[2]
    host = authority.partition("]")[0] if "[" in authority else authority.partition(":")[0]
    return bool(host) and host_refusal(host, allow_private=False) is not None
