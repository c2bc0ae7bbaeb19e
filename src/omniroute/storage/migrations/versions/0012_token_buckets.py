"""Tokens of sound and pictures, and of caches that live for an hour, by themselves."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    for name in (
        "tokens_cache_creation_1h",
        "tokens_input_audio",
        "tokens_input_image",
        "tokens_output_audio",
        "tokens_output_image",
    ):
        op.add_column("usage_history", sa.Column(name, sa.BigInteger()))
