"""Outbound proxies, what each is for, and what went through them."""

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, Table, UniqueConstraint

from omniroute.storage.tables.columns import AnyText, metadata

proxy_registry = Table(
    "proxy_registry",
    metadata,
    Column("id", AnyText, primary_key=True),
    Column("name", AnyText, nullable=False),
    Column("type", AnyText, nullable=False),
    Column("host", AnyText, nullable=False, index=True),
    Column("port", Integer, nullable=False),
    Column("username", AnyText),  # sealed, like the password
    Column("password", AnyText),
    Column("region", AnyText),
    Column("notes", AnyText),
    Column("status", AnyText, nullable=False, index=True),
    Column("source", AnyText, nullable=False),
    Column("created_at", AnyText, nullable=False),
    Column("updated_at", AnyText, nullable=False),
)

proxy_assignments = Table(
    "proxy_assignments",
    metadata,
    Column("id", AnyText, primary_key=True),
    Column(
        "proxy_id",
        AnyText,
        ForeignKey("proxy_registry.id", ondelete="RESTRICT"),
        nullable=False,
        index=True,
    ),
    Column("scope", AnyText, nullable=False),
    Column("scope_id", AnyText, nullable=False),
    Column("created_at", AnyText, nullable=False),
    Column("updated_at", AnyText, nullable=False),
    UniqueConstraint("scope", "scope_id"),
)

# No foreign keys: what a proxy did outlives it.
proxy_logs = Table(
    "proxy_logs",
    metadata,
    Column("id", AnyText, primary_key=True),
    Column("timestamp_ms", BigInteger, nullable=False, index=True),
    Column("status", AnyText, nullable=False),
    Column("proxy_id", AnyText),
    Column("proxy_type", AnyText, nullable=False),
    Column("proxy_host", AnyText, nullable=False),
    Column("proxy_port", Integer, nullable=False),
    Column("level", AnyText, nullable=False),
    Column("level_id", AnyText),
    Column("provider", AnyText, index=True),
    Column("target_url", AnyText),
    Column("public_ip", AnyText),
    Column("latency_ms", BigInteger, nullable=False),
    Column("error", AnyText),
    Column("connection_id", AnyText),
    Column("combo_id", AnyText),
    Column("account", AnyText),
)
