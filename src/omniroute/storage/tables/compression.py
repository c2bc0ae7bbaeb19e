"""How texts are made shorter, and what that saved."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Table

from omniroute.storage.tables.columns import AnyText, JsonText, RowNumber, metadata

# Named pipelines of compression, exactly one of them the default, and the combos they are for.
compression_combos = Table(
    "compression_combos",
    metadata,
    Column("id", AnyText, primary_key=True),
    Column("name", AnyText, nullable=False),
    Column("description", AnyText, nullable=False),
    Column("pipeline", JsonText),
    Column("language_packs", JsonText),
    Column("output_mode", Boolean, nullable=False),
    Column("output_mode_intensity", AnyText, nullable=False),
    Column("is_default", Boolean, nullable=False, index=True),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("updated_at_ms", BigInteger, nullable=False),
)

compression_combo_assignments = Table(
    "compression_combo_assignments",
    metadata,
    Column("id", AnyText, primary_key=True),
    Column(
        "compression_combo_id",
        AnyText,
        ForeignKey("compression_combos.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column(
        "routing_combo_id",
        AnyText,
        ForeignKey("combos.id", ondelete="CASCADE"),
        nullable=False,
        unique=True,
    ),
    Column("created_at_ms", BigInteger, nullable=False),
)

# What was said in fewer tokens: a row for each request, and snapshots of what is listed over MCP.
compression_analytics = Table(
    "compression_analytics",
    metadata,
    Column("id", RowNumber, primary_key=True, autoincrement=True),
    Column("timestamp_ms", BigInteger, nullable=False, index=True),
    Column("combo_id", AnyText),
    Column("provider", AnyText, index=True),
    Column("mode", AnyText, nullable=False),
    Column("engine", AnyText, nullable=False),
    Column("compression_combo_id", AnyText),
    Column("original_tokens", BigInteger, nullable=False),
    Column("compressed_tokens", BigInteger, nullable=False),
    Column("tokens_saved", BigInteger, nullable=False),
    Column("duration_ms", BigInteger, nullable=False),
    Column("request_id", AnyText, index=True),
    Column("actual_prompt_tokens", BigInteger),
    Column("actual_completion_tokens", BigInteger),
    Column("actual_total_tokens", BigInteger),
    Column("actual_cache_read_tokens", BigInteger),
    Column("actual_cache_write_tokens", BigInteger),
    Column("estimated_saved_micro_usd", BigInteger, nullable=False),
    Column("receipt_source", AnyText, index=True),
    Column("validation_fallback", Boolean, nullable=False),
    Column("mcp_description_tokens_saved", BigInteger, nullable=False),
)
