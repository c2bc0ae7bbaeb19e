"""Patterns of model names that stand for combos."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "model_combo_mappings",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("pattern", sa.Text(), nullable=False),
        sa.Column("combo_id", sa.Text(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["combo_id"],
            ["combos.id"],
            name=op.f("fk_model_combo_mappings_combo_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model_combo_mappings")),
    )
    op.create_index(op.f("ix_model_combo_mappings_combo_id"), "model_combo_mappings", ["combo_id"])
    op.create_index(op.f("ix_model_combo_mappings_priority"), "model_combo_mappings", ["priority"])
