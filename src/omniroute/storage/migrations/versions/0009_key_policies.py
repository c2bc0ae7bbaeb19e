"""What keys may do, when, from where and how often; how often they did."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0007"


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
