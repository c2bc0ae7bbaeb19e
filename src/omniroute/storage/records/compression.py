"""Pipelines of compression, and what compression saved."""

from typing import Literal

from msgspec import Struct

MCP_DESCRIPTION = "mcp-description"
"""Mode and engine of what is no request: descriptions listed over MCP."""


class StoredStep(Struct, frozen=True, omit_defaults=True):
    """One engine of a pipeline."""

    engine: str
    intensity: str | None = None


class CompressionCombo(Struct, frozen=True, kw_only=True):
    """A named pipeline. Exactly one is the default. Times are epoch ms."""

    id: str
    name: str
    description: str
    pipeline: tuple[StoredStep, ...]
    language_packs: tuple[str, ...]
    output_mode: bool
    output_mode_intensity: Literal["lite", "full", "ultra"]
    is_default: bool
    created_at_ms: int
    updated_at_ms: int


class Assignment(Struct, frozen=True, kw_only=True):
    """Which pipeline a combo's requests go through; a combo has at most one."""

    id: str
    compression_combo_id: str
    routing_combo_id: str
    created_at_ms: int


class CompressionRow(Struct, frozen=True, kw_only=True):
    """One compressed request, or a snapshot of what was listed over MCP. Tokens are estimates but
    for the `actual` ones, which are what a provider billed. `receipt_source` says who told those.
    """

    timestamp_ms: int
    mode: str
    engine: str
    original_tokens: int
    compressed_tokens: int
    tokens_saved: int
    duration_ms: int = 0
    combo_id: str | None = None
    provider: str | None = None
    compression_combo_id: str | None = None
    request_id: str | None = None
    actual_prompt_tokens: int | None = None
    actual_completion_tokens: int | None = None
    actual_total_tokens: int | None = None
    actual_cache_read_tokens: int | None = None
    actual_cache_write_tokens: int | None = None
    estimated_saved_micro_usd: int = 0
    receipt_source: str | None = None
    validation_fallback: bool = False
    mcp_description_tokens_saved: int = 0


class CompressionSum(Struct, frozen=True, kw_only=True):
    """Sums over rows that have something in common, whose value `name` is."""

    name: str
    count: int
    original_tokens: int
    tokens_saved: int


class CompressionTotals(Struct, frozen=True, kw_only=True):
    """Sums over all requests since a time. `compressed` counts those that became shorter."""

    requests: int = 0
    compressed: int = 0
    original_tokens: int = 0
    tokens_saved: int = 0
    duration_ms: int = 0
    validation_fallbacks: int = 0
    receipts: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    saved_micro_usd: int = 0
