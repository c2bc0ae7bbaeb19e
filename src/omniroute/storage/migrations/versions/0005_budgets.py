"""Budgets, what was spent in their windows, and what processes have leased of them."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "budgets",
        sa.Column("scope_kind", sa.Text(), nullable=False),
        sa.Column("scope_id", sa.Text(), nullable=False),
        sa.Column("daily_micro_usd", sa.BigInteger()),
        sa.Column("weekly_micro_usd", sa.BigInteger()),
        sa.Column("monthly_micro_usd", sa.BigInteger()),
        sa.Column("total_micro_usd", sa.BigInteger()),
        sa.Column("warning_threshold", sa.Float(), nullable=False),
        sa.Column("reset_interval", sa.Text(), nullable=False),
        sa.Column("reset_time", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("scope_kind", "scope_id", name=op.f("pk_budgets")),
    )
    op.create_table(
        "budget_windows",
        sa.Column("scope_kind", sa.Text(), nullable=False),
        sa.Column("scope_id", sa.Text(), nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("start_ms", sa.BigInteger(), nullable=False),
        sa.Column("end_ms", sa.BigInteger()),
        sa.Column("spent_micro_usd", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "scope_kind", "scope_id", "period", "start_ms", name=op.f("pk_budget_windows")
        ),
    )
    op.create_table(
        "budget_leases",
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("scope_kind", sa.Text(), nullable=False),
        sa.Column("scope_id", sa.Text(), nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("start_ms", sa.BigInteger(), nullable=False),
        sa.Column("micro_usd", sa.BigInteger(), nullable=False),
        sa.Column("seen_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "holder", "scope_kind", "scope_id", "period", "start_ms", name=op.f("pk_budget_leases")
        ),
    )
    op.create_index(
        op.f("ix_budget_leases_scope_kind_scope_id_period_start_ms"),
        "budget_leases",
        ["scope_kind", "scope_id", "period", "start_ms"],
    )
