"""How compression stands, for agents: what is on, what it saved, what is kept (03 §8.4)."""

from typing import Literal

from msgspec import UNSET, Struct, UnsetType, structs

from omniroute.caller import Caller
from omniroute.engine import Engine
from omniroute.operations.chats.cache import cache_overview
from omniroute.operations.compression.analytics import (
    RealUsage,
    Saved,
    SavedByCombo,
    Since,
    keep_descriptions,
    real_usage,
    saved,
    saved_by_combo,
    since_ms,
    sums_since,
)
from omniroute.operations.compression.combos import found
from omniroute.routing.combo_config import CompressionMode

NOT_ACTIVE = (
    "Prompts are sent as they are: no engine compresses them yet, whatever is switched on. "
    "Descriptions and tool results over MCP are shortened."
)


class StatusSettings(Struct, frozen=True, kw_only=True, rename="camel"):
    """What is switched on. `max_tokens` 0 is never."""

    max_tokens: int
    auto_trigger_mode: CompressionMode
    target_ratio: float
    preserve_system_prompt: bool
    mcp_description_compression_enabled: bool


class McpDescriptions(Struct, frozen=True, kw_only=True, rename="camel"):
    """What listing descriptions short over MCP saved: since this process began, and as it is
    kept. Tokens are an estimate; no provider was asked."""

    descriptions_compressed: int
    chars_before: int
    chars_after: int
    chars_saved: int
    estimated_tokens_saved: int
    persisted_estimated_tokens_saved: int
    persisted_snapshots: int
    source: Literal["mcp_metadata_estimate"] = "mcp_metadata_estimate"
    not_provider_usage: Literal[True] = True


class Summary(Struct, frozen=True, kw_only=True, rename="camel"):
    """What compression saved. `avg_compression_ratio` is the share of tokens saved, 0 to 1."""

    total_requests: int
    compressed_requests: int
    tokens_saved: int
    avg_compression_ratio: float
    by_mode: dict[str, Saved]
    by_engine: dict[str, Saved]
    by_compression_combo: dict[str, SavedByCombo]
    validation_fallbacks: int
    requests_with_receipts: int
    real_usage: RealUsage
    mcp_description_compression: McpDescriptions


class PromptCompression(Struct, frozen=True):
    """Whether prompts are compressed right now, and if not, why not."""

    active: bool
    note: str


class KeptAnswers(Struct, frozen=True, kw_only=True, rename="camel"):
    """What the answer cache saved. `hit_rate` is text, as in "12.5%"."""

    hits: int
    misses: int
    hit_rate: str
    tokens_saved: int


class CompressionStatus(Struct, frozen=True, kw_only=True, rename="camel"):
    """How compression stands. `cache_stats` is null where nothing was looked for."""

    enabled: bool
    strategy: CompressionMode
    settings: StatusSettings
    prompt_compression: PromptCompression
    analytics: Summary
    cache_stats: KeptAnswers | None


class StatsQuery(Struct, frozen=True, kw_only=True, rename="camel"):
    """What to sum up.

    Attributes:
        combo_id: one compression combo; all requests without one.
        since: the period that ends now.
    """

    combo_id: str | None = None
    since: Since = "all"


class ComboStats(Struct, frozen=True, kw_only=True, rename="camel"):
    """Without a combo the members of the summary; with one its id, that summary and its share."""

    combo_id: str | UnsetType = UNSET
    summary: Summary | UnsetType = UNSET
    combo: SavedByCombo | UnsetType = UNSET
    total_requests: int | UnsetType = UNSET
    compressed_requests: int | UnsetType = UNSET
    tokens_saved: int | UnsetType = UNSET
    avg_compression_ratio: float | UnsetType = UNSET
    by_mode: dict[str, Saved] | UnsetType = UNSET
    by_engine: dict[str, Saved] | UnsetType = UNSET
    by_compression_combo: dict[str, SavedByCombo] | UnsetType = UNSET
    validation_fallbacks: int | UnsetType = UNSET
    requests_with_receipts: int | UnsetType = UNSET
    real_usage: RealUsage | UnsetType = UNSET
    mcp_description_compression: McpDescriptions | UnsetType = UNSET


async def compression_status(engine: Engine, caller: Caller) -> CompressionStatus:
    """How compression stands."""
    settings = engine.snapshot.compression
    kept = (await cache_overview(engine, caller)).semantic_cache
    looked = kept.hits + kept.misses
    return CompressionStatus(
        enabled=settings.enabled,
        strategy=settings.default_mode,
        settings=StatusSettings(
            max_tokens=settings.auto_trigger_tokens,
            auto_trigger_mode=settings.auto_trigger_mode,
            target_ratio=settings.target_ratio,
            preserve_system_prompt=settings.preserve_system_prompt,
            mcp_description_compression_enabled=settings.mcp_description_compression_enabled,
        ),
        prompt_compression=PromptCompression(False, NOT_ACTIVE),
        analytics=await summary(engine, "all"),
        cache_stats=KeptAnswers(
            hits=kept.hits,
            misses=kept.misses,
            hit_rate=f"{100 * kept.hit_rate:.1f}%",
            tokens_saved=kept.tokens_saved,
        )
        if looked
        else None,
    )


async def combo_stats(engine: Engine, caller: Caller, query: StatsQuery) -> ComboStats:
    """What compression saved in a period, in all or beside one pipeline.

    Raises:
        NotFound: there is no such pipeline.
    """
    if query.combo_id is None:
        return ComboStats(**structs.asdict(await summary(engine, query.since)))
    async with engine.database.reading() as work:
        await found(work, query.combo_id)
    whole = await summary(engine, query.since)
    own = whole.by_compression_combo.get(query.combo_id)
    return ComboStats(
        combo_id=query.combo_id,
        summary=whole,
        combo=own or SavedByCombo(count=0, tokens_saved=0),
    )


async def summary(engine: Engine, since: Since) -> Summary:
    """What compression saved in a period; what was saved lately is written down first."""
    counts = await keep_descriptions(engine)
    async with engine.database.reading() as work:
        sums = await sums_since(work, since_ms(since, engine.now_ms()))
    totals = sums.totals
    ratio = totals.tokens_saved / totals.original_tokens if totals.original_tokens else 0.0
    return Summary(
        total_requests=totals.requests,
        compressed_requests=totals.compressed,
        tokens_saved=totals.tokens_saved,
        avg_compression_ratio=round(ratio, 4),
        by_mode=saved(sums.modes),
        by_engine=saved(sums.engines),
        by_compression_combo=saved_by_combo(sums.combos),
        validation_fallbacks=totals.validation_fallbacks,
        requests_with_receipts=totals.receipts,
        real_usage=real_usage(sums),
        mcp_description_compression=McpDescriptions(
            descriptions_compressed=counts.descriptions_compressed,
            chars_before=counts.chars_before,
            chars_after=counts.chars_after,
            chars_saved=counts.chars_saved,
            estimated_tokens_saved=counts.estimated_tokens_saved,
            persisted_estimated_tokens_saved=sums.description_tokens,
            persisted_snapshots=sums.snapshots,
        ),
    )
