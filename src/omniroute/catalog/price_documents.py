"""Public price lists: where they are, how they are read, whose names they use for providers."""

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta, Raw, Struct

from omniroute.catalog.overrides import Stated, StatedPrice
from omniroute.catalog.providers import PROVIDERS

SourceId: TypeAlias = Literal["litellm", "modelsDev"]

_UsdPerToken = Annotated[float, Meta(ge=0, le=1)]
_UsdPerMillion = Annotated[float, Meta(ge=0, le=1_000_000)]


class PriceDocument(Struct, frozen=True, kw_only=True):
    """What a list says of providers this build knows, by provider id and model in lower case.

    `skipped` counts entries that cannot be read, `ignored` those that say nothing here: of other
    providers, without a price for tokens, or with zeros for both directions, which lists write
    where they do not know.
    """

    prices: Stated
    skipped: int
    ignored: int


class PriceSource(Struct, frozen=True, kw_only=True):
    """One list. `page` is where its format is described, `read` raises `ValueError` for what is
    not that format."""

    id: SourceId
    url: str
    page: str
    read: Callable[[bytes], PriceDocument]


class _LiteLlmModel(Struct, frozen=True):
    """Costs are USD per token."""

    litellm_provider: str = ""
    input_cost_per_token: _UsdPerToken | None = None
    output_cost_per_token: _UsdPerToken | None = None
    cache_read_input_token_cost: _UsdPerToken | None = None
    cache_creation_input_token_cost: _UsdPerToken | None = None
    output_cost_per_reasoning_token: _UsdPerToken | None = None


class _Cost(Struct, frozen=True):
    """USD per million tokens."""

    input: _UsdPerMillion | None = None
    output: _UsdPerMillion | None = None
    cache_read: _UsdPerMillion | None = None
    cache_write: _UsdPerMillion | None = None
    reasoning: _UsdPerMillion | None = None


class _ModelsDevModel(Struct, frozen=True):
    cost: _Cost | None = None


class _ModelsDevProvider(Struct, frozen=True):
    models: dict[str, Raw]


LITELLM_PROVIDERS: Mapping[str, tuple[str, ...]] = {
    "aiml": ("aimlapi",),
    "azure": ("azure-openai",),
    "bedrock": ("bedrock", "bedrock-anthropic"),
    "bedrock_converse": ("bedrock", "bedrock-anthropic"),
    "cloudflare": ("cloudflare-ai",),
    "cohere_chat": ("cohere",),
    "dashscope": ("alibaba",),
    "fireworks_ai": ("fireworks",),
    "nvidia_nim": ("nvidia",),
    "together_ai": ("together",),
    "v0": ("v0-vercel",),
    "vertex_ai": ("vertex",),
    "vertex_ai-anthropic_models": ("vertex-anthropic",),
    "vertex_ai-language-models": ("vertex",),
    "zai": ("zai", "glm"),
}
"""Provider ids here by the names LiteLLM has for them, where they are not the same."""

MODELS_DEV_PROVIDERS: Mapping[str, tuple[str, ...]] = {
    "amazon-bedrock": ("bedrock", "bedrock-anthropic"),
    "azure": ("azure-openai",),
    "azure-cognitive-services": ("azure-ai",),
    "cloudflare-workers-ai": ("cloudflare-ai",),
    "fireworks-ai": ("fireworks",),
    "google": ("gemini",),
    "google-vertex": ("vertex",),
    "google-vertex-anthropic": ("vertex-anthropic",),
    "kilo": ("kilo-gateway",),
    "llama": ("meta-llama",),
    "moonshotai": ("moonshot",),
    "nano-gpt": ("nanogpt",),
    "opencode": ("opencode-zen",),
    "togetherai": ("together",),
    "v0": ("v0-vercel",),
    "vercel": ("vercel-ai-gateway",),
    "zai": ("zai", "glm"),
    "zhipuai": ("glm-cn",),
}
"""The same for models.dev."""


class _Reading:
    """Collects entries of a list."""

    def __init__(self, names: Mapping[str, tuple[str, ...]]) -> None:
        self._names = names
        self._prices: dict[str, dict[str, StatedPrice]] = {}
        self.skipped = 0
        self.ignored = 0

    def take(self, provider: str, model: str, costs: Mapping[str, float | None]) -> None:
        """One entry: USD per million tokens, by the words of the pricing page."""
        ids = self._ids(provider)
        known = {name: round(cost, 9) for name, cost in costs.items() if cost is not None}
        if not ids or not (known.get("input") or known.get("output")):
            self.ignored += 1
            return
        for one in ids:
            self._prices.setdefault(one, {})[model.lower()] = StatedPrice(**known)

    def document(self) -> PriceDocument:
        return PriceDocument(prices=self._prices, skipped=self.skipped, ignored=self.ignored)

    def _ids(self, provider: str) -> list[str]:
        alike = provider.replace("_", "-")
        named = self._names.get(provider, (alike,))
        rows = (PROVIDERS.get(one) for one in named)
        # What runs on the user's own machine is free, whatever a list says.
        return [row.id for row in rows if row and not row.in_process and row.probe_port is None]


def read_litellm(body: bytes) -> PriceDocument:
    """LiteLLM's map of models.

    Raises:
        ValueError: it is not a JSON object.
    """
    reading = _Reading(LITELLM_PROVIDERS)
    for name, entry in _entries(body):
        try:
            model = msgspec.json.decode(entry, type=_LiteLlmModel)
        except msgspec.DecodeError:
            reading.skipped += 1
            continue
        costs = {
            "input": model.input_cost_per_token,
            "output": model.output_cost_per_token,
            "cached": model.cache_read_input_token_cost,
            "cache_creation": model.cache_creation_input_token_cost,
            "reasoning": model.output_cost_per_reasoning_token,
        }
        per_million = {word: None if cost is None else cost * 1e6 for word, cost in costs.items()}
        reading.take(model.litellm_provider, _unprefixed(name, model.litellm_provider), per_million)
    return reading.document()


def read_models_dev(body: bytes) -> PriceDocument:
    """The providers of models.dev with their models.

    Raises:
        ValueError: it is not a JSON object.
    """
    reading = _Reading(MODELS_DEV_PROVIDERS)
    for provider, entry in _entries(body):
        try:
            models = msgspec.json.decode(entry, type=_ModelsDevProvider).models
        except msgspec.DecodeError:
            reading.skipped += 1
            continue
        for name, raw in models.items():
            try:
                cost = msgspec.json.decode(raw, type=_ModelsDevModel).cost or _Cost()
            except msgspec.DecodeError:
                reading.skipped += 1
                continue
            costs = {
                "input": cost.input,
                "output": cost.output,
                "cached": cost.cache_read,
                "cache_creation": cost.cache_write,
                "reasoning": cost.reasoning,
            }
            reading.take(provider, name, costs)
    return reading.document()


SOURCES: Mapping[SourceId, PriceSource] = {
    row.id: row
    for row in (
        PriceSource(
            id="litellm",
            url="https://raw.githubusercontent.com/BerriAI/litellm/main/"
            "model_prices_and_context_window.json",
            page="https://docs.litellm.ai/docs/provider_registration/add_model_pricing",
            read=read_litellm,
        ),
        PriceSource(
            id="modelsDev",
            url="https://models.dev/api.json",
            page="https://github.com/sst/models.dev#api",
            read=read_models_dev,
        ),
    )
}
"""Every list, the one that counts for more last."""


def _entries(body: bytes) -> Iterator[tuple[str, Raw]]:
    yield from msgspec.json.decode(body, type=dict[str, Raw]).items()


def _unprefixed(name: str, provider: str) -> str:
    """A model as its provider calls it: LiteLLM writes the provider's name before most."""
    first, slash, rest = name.partition("/")
    family = provider.partition("-")[0]  # `vertex_ai` of `vertex_ai-anthropic_models`
    routes = (provider, family, family.removesuffix("_converse"), family.removesuffix("_chat"))
    return rest if slash and first in routes else name
