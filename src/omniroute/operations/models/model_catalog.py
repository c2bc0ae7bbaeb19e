"""The catalogue as operators see it: every provider's models, whether it can be asked or not.

Source: 02 §6.
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Literal, TypeAlias

from msgspec import Struct

from omniroute.caller import Caller
from omniroute.catalog.models import known_models
from omniroute.engine import Engine
from omniroute.routing.snapshot import DEMO_ACCOUNT, Snapshot
from omniroute.storage.records.configuration import ApiFormat, Capability, CustomModel

ModelType: TypeAlias = Literal[
    "chat", "embedding", "image", "audio", "rerank", "moderation", "video", "music", "search"
]

_TYPES: Mapping[ApiFormat, ModelType] = {
    "chat-completions": "chat",
    "responses": "chat",
    "embeddings": "embedding",
    "rerank": "rerank",
    "audio-transcriptions": "audio",
    "audio-speech": "audio",
    "images-generations": "image",
}
_READS: Mapping[ModelType, tuple[str, ...]] = {"audio": ("audio", "text")}
_WRITES: Mapping[ModelType, tuple[str, ...]] = {
    "embedding": ("vector",),
    "image": ("image",),
    "audio": ("audio", "text"),
    "rerank": ("score",),
}
_ENDPOINTS: Mapping[ModelType, tuple[Capability, ...]] = {
    "chat": ("chat",),
    "embedding": ("embeddings",),
    "image": ("images",),
    "audio": ("audio",),
    "rerank": ("rerank",),
}


class CatalogEntry(Struct, frozen=True, kw_only=True):
    """One model, in wire names. Limits are tokens, null when nobody states them."""

    id: str
    name: str
    type: ModelType
    custom: bool
    capabilities: tuple[str, ...]
    context_length: int | None
    max_output_tokens: int | None
    input_modalities: tuple[str, ...]
    output_modalities: tuple[str, ...]
    supported_endpoints: tuple[Capability, ...]


class CatalogProvider(Struct, frozen=True, kw_only=True):
    """One provider with its models. `active`: an account of it is switched on."""

    provider: str
    active: bool
    models: tuple[CatalogEntry, ...]


class Catalog(Struct, frozen=True, kw_only=True, rename="camel"):
    """Every provider's models, by provider id."""

    catalog: dict[str, CatalogProvider]
    catalog_version: str


class PlainModel(Struct, frozen=True, kw_only=True, rename="camel"):
    """One model, and whether it could be asked right now. `alias` is what people call it."""

    provider: str
    model: str
    full_model: str
    alias: str
    available: bool


def catalog_version(engine: Engine) -> str:
    """Changes whenever the catalogue may have."""
    return version_of(engine.version, engine.snapshot)


def version_of(release: str, snapshot: Snapshot) -> str:
    """The same, of a snapshot."""
    told = f"omniroute {release} configuration {snapshot.version}"
    return hashlib.sha256(told.encode()).hexdigest()[:16]


async def model_catalog(engine: Engine, caller: Caller) -> Catalog:
    """Every provider's models that are not hidden. Providers without a known model are left out
    unless they have an account."""
    snapshot = engine.snapshot
    found = {}
    for provider_id, row in snapshot.providers.items():
        models = tuple(_entries(snapshot, provider_id))
        active = provider_id in snapshot.accounts
        if models or active:
            found[provider_id] = CatalogProvider(provider=row.name, active=active, models=models)
    return Catalog(catalog=found, catalog_version=catalog_version(engine))


async def plain_models(
    engine: Engine, caller: Caller, *, everything: bool = False
) -> list[PlainModel]:
    """Models that could be asked right now; `everything` adds those that could not."""
    snapshot, view = engine.snapshot, engine.health.view()
    called = {target: alias for alias, target in sorted(snapshot.aliases.items(), reverse=True)}
    found = []
    for provider_id in snapshot.providers:
        accounts = snapshot.accounts.get(provider_id, ())
        if not accounts and not everything:
            continue
        for model, _ in _served(snapshot, provider_id):
            name = snapshot.written(provider_id, model)
            available = any(
                view.blocked(provider_id, account.id, model) is None
                and not snapshot.excludes(account, model)
                for account in accounts
            )
            if available or everything:
                found.append(
                    PlainModel(
                        provider=provider_id,
                        model=model,
                        full_model=name,
                        alias=called.get(name) or called.get(f"{provider_id}/{model}") or model,
                        available=available,
                    )
                )
    return found


def _served(snapshot: Snapshot, provider: str) -> Iterator[tuple[str, CustomModel | None]]:
    """The models of a provider that are not hidden, those that were added with how."""
    added = snapshot.custom_models.get(provider, {})
    named = dict.fromkeys(model.id for model in known_models(provider))
    for account in snapshot.accounts.get(provider, ()):
        if isinstance(account.options.get("models"), list):
            named |= dict.fromkeys(snapshot.models(account))
        if account.default_model and account.id != DEMO_ACCOUNT.id:
            named.setdefault(account.default_model)
    for model in dict.fromkeys((*named, *added)):
        if not snapshot.is_hidden(provider, model):
            yield model, added.get(model)


def _entries(snapshot: Snapshot, provider: str) -> Iterator[CatalogEntry]:
    windows = {model.id: model.context_tokens for model in known_models(provider)}
    for model, custom in _served(snapshot, provider):
        kind = _TYPES[custom.api_format] if custom is not None else "chat"
        endpoints = custom.supported_endpoints if custom is not None else _ENDPOINTS["chat"]
        if custom is not None and kind != "chat" and endpoints == _ENDPOINTS["chat"]:
            endpoints = _ENDPOINTS[kind]
        yield CatalogEntry(
            id=model,
            name=(custom.name if custom is not None else "") or model,
            type=kind,
            custom=custom is not None,
            capabilities=endpoints,
            context_length=windows.get(model),
            max_output_tokens=None,
            input_modalities=_READS.get(kind, ("text",)),
            output_modalities=_WRITES.get(kind, ("text",)),
            supported_endpoints=endpoints,
        )
