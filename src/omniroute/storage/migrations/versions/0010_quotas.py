"""What providers report of accounts' quotas, and where operators cut off."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column(
        "provider_connections", sa.Column("quota_window_thresholds", sa.Text(), nullable=True)
    )
    op.create_table(
        "quota_snapshots",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("connection_id", sa.Text(), nullable=False),
        sa.Column("window_key", sa.Text(), nullable=False),
        sa.Column("remaining_percentage", sa.Float(), nullable=True),
        sa.Column("is_exhausted", sa.Boolean(), nullable=False),
        sa.Column("next_reset_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("window_duration_ms", sa.BigInteger(), nullable=True),
        sa.Column("raw_data", sa.Text(), nullable=True),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quota_snapshots")),
    )
    for column in ("provider", "connection_id"):
        op.create_index(
            op.f(f"ix_quota_snapshots_{column}_created_at_ms"),
            "quota_snapshots",
            [column, "created_at_ms"],
        )
