"""Summaries that wait for another account."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_table(
        "context_handoffs",
        sa.Column("session", sa.Text(), nullable=False),
        sa.Column("combo", sa.Text(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("session", "combo", name=op.f("pk_context_handoffs")),
    )
    op.create_index(
        op.f("ix_context_handoffs_expires_at_ms"), "context_handoffs", ["expires_at_ms"]
    )
