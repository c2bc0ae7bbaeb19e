"""Which models a provider is known to serve, before anyone has asked the provider itself.

Source: the model lists of `genai-prices`, text models only; discovery replaces them.
"""

from collections.abc import Mapping
from functools import lru_cache

from genai_prices.data_snapshot import get_snapshot
from msgspec import Struct

from omniroute.catalog.providers import PROVIDERS


class Model(Struct, frozen=True, kw_only=True):
    """One model of one provider. `context_tokens` is its window, None when unknown."""

    id: str
    context_tokens: int | None = None


DEMO_MODELS = (
    "echo",
    "tools",
    "reasoning",
    "see",
    "draw",
    "slow-start",
    "slow",
    "flaky-429",
    "flaky-500",
    "malformed",
    "cut-after-5",
)
"""The scripts of the demo provider that a model list shows; more forms exist."""

_NOT_CHAT = ("embed", "whisper", "tts", "transcribe", "rerank", "moderation", "image", "dall-e")


@lru_cache(maxsize=256)
def known_models(provider_id: str) -> tuple[Model, ...]:
    """The chat models of a provider, by id; empty for a provider nobody has listed."""
    if provider_id == "demo":
        return tuple(Model(id=name, context_tokens=1_000_000) for name in DEMO_MODELS)
    row = PROVIDERS.get(provider_id)
    if row is None or row.prices is None:
        return ()
    listed = next((one for one in get_snapshot().providers if one.id == row.prices), None)
    if listed is None:
        return ()
    return tuple(
        Model(id=model.id, context_tokens=model.context_window)
        for model in listed.models
        if not any(word in model.id.lower() for word in _NOT_CHAT)
        and not model.deprecated
        and (not row.families or model.id.startswith(row.families))
    )


@lru_cache(maxsize=4096)
def context_tokens(provider_id: str, model: str) -> int | None:
    """The context window of a model at a provider; None when unknown."""
    listed = (row for row in known_models(provider_id) if row.id == model)
    return next((row.context_tokens for row in listed), None)


@lru_cache(maxsize=1)
def providers_by_model() -> dict[str, tuple[str, ...]]:
    """Provider ids by bare model id, over the whole catalogue."""
    found: dict[str, list[str]] = {}
    for provider_id in PROVIDERS:
        for model in known_models(provider_id):
            found.setdefault(model.id, []).append(provider_id)
    return {model: tuple(ids) for model, ids in found.items()}


DEFAULT_MODELS: Mapping[str, str] = {
    "openai": "gpt-5-mini",
    "anthropic": "claude-sonnet-4-5",
    "gemini": "gemini-2.5-flash",
    "mistral": "mistral-small-latest",
    "groq": "openai/gpt-oss-20b",
    "openrouter": "openai/gpt-5-mini",
    "deepseek": "deepseek-chat",
    "xai": "grok-4-fast",
    "perplexity": "sonar",
    "cerebras": "gpt-oss-120b",
    "demo": "echo",
}
"""What `auto` asks an account for that names no default model itself. Chosen 2026-11-23 from the
providers' own lists for price and tool use; a connection's `defaultModel` replaces it."""


def default_model(provider_id: str) -> str | None:
    """The model `auto` uses for a provider; None when nothing is known about its models."""
    named = DEFAULT_MODELS.get(provider_id)
    if named is not None:
        return named
    listed = known_models(provider_id)
    return listed[0].id if listed else None
