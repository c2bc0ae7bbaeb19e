"""Pipelines of compression, the combos they are for, and what compression saved."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"

row_number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "compression_combos",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("pipeline", sa.Text()),
        sa.Column("language_packs", sa.Text()),
        sa.Column("output_mode", sa.Boolean(), nullable=False),
        sa.Column("output_mode_intensity", sa.Text(), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_compression_combos")),
    )
    op.create_index(op.f("ix_compression_combos_is_default"), "compression_combos", ["is_default"])
    op.create_table(
        "compression_combo_assignments",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("compression_combo_id", sa.Text(), nullable=False),
        sa.Column("routing_combo_id", sa.Text(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_compression_combo_assignments")),
        sa.ForeignKeyConstraint(
            ["compression_combo_id"],
            ["compression_combos.id"],
            name=op.f("fk_compression_combo_assignments_compression_combo_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["routing_combo_id"],
            ["combos.id"],
            name=op.f("fk_compression_combo_assignments_routing_combo_id"),
            ondelete="CASCADE",
        ),
        sa.UniqueConstraint(
            "routing_combo_id", name=op.f("uq_compression_combo_assignments_routing_combo_id")
        ),
    )
    op.create_index(
        op.f("ix_compression_combo_assignments_compression_combo_id"),
        "compression_combo_assignments",
        ["compression_combo_id"],
    )
    op.create_table(
        "compression_analytics",
        sa.Column("id", row_number, autoincrement=True, nullable=False),
        sa.Column("timestamp_ms", sa.BigInteger(), nullable=False),
        sa.Column("combo_id", sa.Text()),
        sa.Column("provider", sa.Text()),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("engine", sa.Text(), nullable=False),
        sa.Column("compression_combo_id", sa.Text()),
        sa.Column("original_tokens", sa.BigInteger(), nullable=False),
        sa.Column("compressed_tokens", sa.BigInteger(), nullable=False),
        sa.Column("tokens_saved", sa.BigInteger(), nullable=False),
        sa.Column("duration_ms", sa.BigInteger(), nullable=False),
        sa.Column("request_id", sa.Text()),
        sa.Column("actual_prompt_tokens", sa.BigInteger()),
        sa.Column("actual_completion_tokens", sa.BigInteger()),
        sa.Column("actual_total_tokens", sa.BigInteger()),
        sa.Column("actual_cache_read_tokens", sa.BigInteger()),
        sa.Column("actual_cache_write_tokens", sa.BigInteger()),
        sa.Column("estimated_saved_micro_usd", sa.BigInteger(), nullable=False),
        sa.Column("receipt_source", sa.Text()),
        sa.Column("validation_fallback", sa.Boolean(), nullable=False),
        sa.Column("mcp_description_tokens_saved", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_compression_analytics")),
    )
    for column in ("timestamp_ms", "provider", "request_id", "receipt_source"):
        name = op.f(f"ix_compression_analytics_{column}")
        op.create_index(name, "compression_analytics", [column])
