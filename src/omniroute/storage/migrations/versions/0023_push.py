"""Where changes of A2A tasks are told, and what is still to be told."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"

row_number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "a2a_push_configs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("task_id", sa.Text(), nullable=False),
        sa.Column("config_id", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("protocol", sa.Text(), nullable=False),
        sa.Column("config", sa.Text(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_a2a_push_configs")),
    )
    for column in ("task_id", "created_at_ms"):
        op.create_index(op.f(f"ix_a2a_push_configs_{column}"), "a2a_push_configs", [column])
    op.create_table(
        "a2a_push_deliveries",
        sa.Column("id", row_number, autoincrement=True, nullable=False),
        sa.Column("push_config", sa.Text(), nullable=False),
        sa.Column("task_id", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["push_config"],
            ["a2a_push_configs.id"],
            name=op.f("fk_a2a_push_deliveries_push_config"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["task_id"],
            ["a2a_tasks.id"],
            name=op.f("fk_a2a_push_deliveries_task_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_a2a_push_deliveries")),
        sqlite_autoincrement=True,
    )
    for columns in (("push_config",), ("task_id",), ("state", "due_at_ms")):
        name = op.f(f"ix_a2a_push_deliveries_{'_'.join(columns)}")
        op.create_index(name, "a2a_push_deliveries", list(columns))
