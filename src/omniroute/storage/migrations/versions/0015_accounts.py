"""Accounts know their owner, their tokens, how they were tested and how they are watched."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    for column in (
        sa.Column("display_name", sa.Text()),
        sa.Column("email", sa.Text()),
        sa.Column("access_token", sa.Text()),
        sa.Column("refresh_token", sa.Text()),
        sa.Column("id_token", sa.Text()),
        sa.Column("token_type", sa.Text()),
        sa.Column("scope", sa.Text()),
        sa.Column("project_id", sa.Text()),
        sa.Column("expires_at", sa.Text()),
        sa.Column("token_expires_at", sa.Text()),
        sa.Column("expires_in", sa.BigInteger()),
        sa.Column("rate_limit_protection", sa.Boolean()),
        sa.Column("health_check_interval", sa.Integer()),
        sa.Column("last_health_check_at", sa.Text()),
        sa.Column("last_tested", sa.Text()),
        sa.Column("last_error_source", sa.Text()),
    ):
        op.add_column("provider_connections", column)
