"""Who changed what."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    row_number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "audit_log",
        sa.Column("id", row_number, autoincrement=True, nullable=False),
        sa.Column("timestamp_ms", sa.BigInteger(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("target", sa.Text()),
        sa.Column("details", sa.Text()),
        sa.Column("metadata", sa.Text()),
        sa.Column("ip_address", sa.Text()),
        sa.Column("resource_type", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_log")),
        sqlite_autoincrement=True,
    )
    for column in ("timestamp_ms", "action", "actor", "resource_type", "status", "request_id"):
        op.create_index(op.f(f"ix_audit_log_{column}"), "audit_log", [column])
