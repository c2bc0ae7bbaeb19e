"""Tool calls that go on without their callers."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    op.create_table(
        "mcp_tasks",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text()),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mcp_tasks")),
    )
    op.create_index(op.f("ix_mcp_tasks_holder"), "mcp_tasks", ["holder"])
    op.create_index(op.f("ix_mcp_tasks_expires_at_ms"), "mcp_tasks", ["expires_at_ms"])
