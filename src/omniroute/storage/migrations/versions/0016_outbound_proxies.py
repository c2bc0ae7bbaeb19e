"""Outbound proxies: the registry, what they are for, and what came of using them."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.create_table(
        "proxy_registry",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("username", sa.Text(), nullable=True),
        sa.Column("password", sa.Text(), nullable=True),
        sa.Column("region", sa.Text(), nullable=True),
        sa.Column("notes", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_proxy_registry")),
    )
    for column in ("host", "status"):
        op.create_index(op.f(f"ix_proxy_registry_{column}"), "proxy_registry", [column])
    op.create_table(
        "proxy_assignments",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("proxy_id", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("scope_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["proxy_id"],
            ["proxy_registry.id"],
            name=op.f("fk_proxy_assignments_proxy_id"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_proxy_assignments")),
        sa.UniqueConstraint("scope", "scope_id", name=op.f("uq_proxy_assignments_scope_scope_id")),
    )
    op.create_index(op.f("ix_proxy_assignments_proxy_id"), "proxy_assignments", ["proxy_id"])
    op.create_table(
        "proxy_logs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("timestamp_ms", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("proxy_id", sa.Text(), nullable=True),
        sa.Column("proxy_type", sa.Text(), nullable=False),
        sa.Column("proxy_host", sa.Text(), nullable=False),
        sa.Column("proxy_port", sa.Integer(), nullable=False),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("level_id", sa.Text(), nullable=True),
        sa.Column("provider", sa.Text(), nullable=True),
        sa.Column("target_url", sa.Text(), nullable=True),
        sa.Column("public_ip", sa.Text(), nullable=True),
        sa.Column("latency_ms", sa.BigInteger(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("connection_id", sa.Text(), nullable=True),
        sa.Column("combo_id", sa.Text(), nullable=True),
        sa.Column("account", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_proxy_logs")),
    )
    for column in ("timestamp_ms", "provider"):
        op.create_index(op.f(f"ix_proxy_logs_{column}"), "proxy_logs", [column])
