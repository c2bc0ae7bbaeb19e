"""What keys may do and how often they did; sessions, stickiness and turns over a restart."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    for column in (
        sa.Column("auto_resolve", sa.Boolean()),
        sa.Column("max_sessions", sa.Integer()),
        sa.Column("access_schedule", sa.Text()),
        sa.Column("rate_limits", sa.Text()),
        sa.Column("max_requests_per_day", sa.BigInteger()),
        sa.Column("max_requests_per_minute", sa.BigInteger()),
        sa.Column("ip_allowlist", sa.Text()),
    ):
        op.add_column("api_keys", column)
    op.create_table(
        "rate_windows",
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("window_s", sa.BigInteger(), nullable=False),
        sa.Column("start_s", sa.BigInteger(), nullable=False),
        sa.Column("taken", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key_id", "window_s", "start_s", name=op.f("pk_rate_windows")),
    )
    op.create_table(
        "key_sessions",
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("seen_ms", sa.BigInteger(), nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.Column("connection_id", sa.Text()),
        sa.PrimaryKeyConstraint("key_id", "session_id", name=op.f("pk_key_sessions")),
    )
    op.create_index(op.f("ix_key_sessions_seen_ms"), "key_sessions", ["seen_ms"])
    op.create_table(
        "session_account_affinity",
        sa.Column("session_key", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("connection_id", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_seen_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "session_key", "provider", name=op.f("pk_session_account_affinity")
        ),
    )
    op.create_index(
        op.f("ix_session_account_affinity_last_seen_ms"),
        "session_account_affinity",
        ["last_seen_ms"],
    )
    op.create_table(
        "rotation_states",
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.Text()),
        sa.PrimaryKeyConstraint("scope", "name", name=op.f("pk_rotation_states")),
    )
