"""Budgets, their windows, and the slices processes hold of them."""

from sqlalchemy import BigInteger, Column, Float, Index, Table

from omniroute.storage.tables.columns import AnyText, metadata

budgets = Table(
    "budgets",
    metadata,
    Column("scope_kind", AnyText, primary_key=True),
    Column("scope_id", AnyText, primary_key=True),
    Column("daily_micro_usd", BigInteger),
    Column("weekly_micro_usd", BigInteger),
    Column("monthly_micro_usd", BigInteger),
    Column("total_micro_usd", BigInteger),
    Column("warning_threshold", Float, nullable=False),
    Column("reset_interval", AnyText, nullable=False),
    Column("reset_time", AnyText, nullable=False),
    Column("action", AnyText, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("updated_at_ms", BigInteger, nullable=False),
)

budget_windows = Table(
    "budget_windows",
    metadata,
    Column("scope_kind", AnyText, primary_key=True),
    Column("scope_id", AnyText, primary_key=True),
    Column("period", AnyText, primary_key=True),
    Column("start_ms", BigInteger, primary_key=True),
    Column("end_ms", BigInteger),
    Column("spent_micro_usd", BigInteger, nullable=False),
)

# What processes may spend without asking; below zero where more was spent than leased.
budget_leases = Table(
    "budget_leases",
    metadata,
    Column("holder", AnyText, primary_key=True),
    Column("scope_kind", AnyText, primary_key=True),
    Column("scope_id", AnyText, primary_key=True),
    Column("period", AnyText, primary_key=True),
    Column("start_ms", BigInteger, primary_key=True),
    Column("micro_usd", BigInteger, nullable=False),
    Column("seen_ms", BigInteger, nullable=False),
    Index(None, "scope_kind", "scope_id", "period", "start_ms"),
)
