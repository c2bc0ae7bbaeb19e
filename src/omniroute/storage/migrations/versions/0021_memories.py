"""What agents want to know again, with a full-text index."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"

_INDEX = {
    "sqlite": (
        """CREATE VIRTUAL TABLE memory_fts USING fts5(
            terms, content='memories', content_rowid='memory_id',
            tokenize="ascii tokenchars '_'"
        )""",
        """CREATE TRIGGER memory_fts_insert AFTER INSERT ON memories BEGIN
            INSERT INTO memory_fts(rowid, terms) VALUES (new.memory_id, new.terms);
        END""",
        """CREATE TRIGGER memory_fts_delete AFTER DELETE ON memories BEGIN
            INSERT INTO memory_fts(memory_fts, rowid, terms)
            VALUES ('delete', old.memory_id, old.terms);
        END""",
        """CREATE TRIGGER memory_fts_update AFTER UPDATE OF terms ON memories BEGIN
            INSERT INTO memory_fts(memory_fts, rowid, terms)
            VALUES ('delete', old.memory_id, old.terms);
            INSERT INTO memory_fts(rowid, terms) VALUES (new.memory_id, new.terms);
        END""",
    ),
    "postgresql": (
        """CREATE INDEX memory_fts ON memories
        USING gin (array_to_tsvector(string_to_array(terms, ' ')))""",
    ),
}


def upgrade() -> None:
    row_number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "memories",
        sa.Column("memory_id", row_number, autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("api_key_id", sa.Text(), nullable=False),
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("metadata", sa.Text()),
        sa.Column("terms", sa.Text(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger()),
        sa.PrimaryKeyConstraint("memory_id", name=op.f("pk_memories")),
        sa.UniqueConstraint("id", name=op.f("uq_memories_id")),
        sa.UniqueConstraint("api_key_id", "key", name=op.f("uq_memories_api_key_id_key")),
    )
    for columns in (["updated_at_ms"], ["expires_at_ms"], ["api_key_id", "updated_at_ms"]):
        op.create_index(op.f(f"ix_memories_{'_'.join(columns)}"), "memories", columns)
    for statement in _INDEX[op.get_bind().dialect.name]:
        op.execute(statement)
