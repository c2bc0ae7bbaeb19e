"""The run an A2A task belongs to."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    op.add_column("a2a_tasks", sa.Column("run_id", sa.Text()))
