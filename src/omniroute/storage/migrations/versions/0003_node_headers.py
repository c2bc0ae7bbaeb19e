"""Headers of custom upstreams."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("provider_nodes", sa.Column("headers", sa.Text(), nullable=True))
