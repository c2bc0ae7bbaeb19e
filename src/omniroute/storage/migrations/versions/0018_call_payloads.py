"""What requests and answers said, where that is kept."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.create_table(
        "call_payloads",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("timestamp_ms", sa.BigInteger(), nullable=False),
        sa.Column("request", sa.LargeBinary()),
        sa.Column("response", sa.LargeBinary()),
        sa.Column("cut", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_call_payloads")),
    )
    op.create_index(op.f("ix_call_payloads_timestamp_ms"), "call_payloads", ["timestamp_ms"])
