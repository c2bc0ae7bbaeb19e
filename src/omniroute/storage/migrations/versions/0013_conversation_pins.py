"""The models conversations keep."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.create_table(
        "conversation_pins",
        sa.Column("conversation", sa.Text(), nullable=False),
        sa.Column("combo", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("last_seen_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("conversation", "combo", name=op.f("pk_conversation_pins")),
    )
    op.create_index(
        op.f("ix_conversation_pins_last_seen_ms"), "conversation_pins", ["last_seen_ms"]
    )
