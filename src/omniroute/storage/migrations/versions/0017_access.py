"""Who is locked out, and keys that keep their old text for a while."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.create_table(
        "lockouts",
        sa.Column("identifier", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Text()),
        sa.Column("locked_until_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("identifier", name=op.f("pk_lockouts")),
    )
    op.create_index(op.f("ix_lockouts_locked_until_ms"), "lockouts", ["locked_until_ms"])
    op.add_column("api_keys", sa.Column("previous_key_hash", sa.Text()))
    op.add_column("api_keys", sa.Column("previous_until_ms", sa.BigInteger()))
    op.add_column("api_keys", sa.Column("sealed_key", sa.Text()))
    op.add_column("api_keys", sa.Column("disabled_guardrails", sa.Text()))
