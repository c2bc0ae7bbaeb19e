"""What agents keep and use: memories, tool skills and their executions."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    Table,
    UniqueConstraint,
)

from omniroute.storage.search_index import comes_with
from omniroute.storage.tables.columns import AnyText, JsonText, RowNumber, metadata

memories = Table(
    "memories",
    metadata,
    # Numbered, because the index knows rows by numbers that must never change.
    Column("memory_id", RowNumber, primary_key=True, autoincrement=True),
    Column("id", AnyText, nullable=False, unique=True),
    Column("api_key_id", AnyText, nullable=False),
    Column("session_id", AnyText, nullable=False),
    Column("type", AnyText, nullable=False),
    Column("key", AnyText, nullable=False),
    Column("content", AnyText, nullable=False),
    Column("metadata", JsonText),
    Column("terms", AnyText, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("updated_at_ms", BigInteger, nullable=False, index=True),
    Column("expires_at_ms", BigInteger, index=True),
    UniqueConstraint("api_key_id", "key"),
    Index(None, "api_key_id", "updated_at_ms"),
)
comes_with(memories)

# What may be executed: versions of skills, and the built-in tools behind them.
skills = Table(
    "skills",
    metadata,
    Column("id", AnyText, primary_key=True),
    Column("api_key_id", AnyText, nullable=False),
    Column("name", AnyText, nullable=False),
    Column("version", AnyText, nullable=False),
    Column("description", AnyText, nullable=False),
    Column("schema", JsonText),
    Column("handler", AnyText, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("mode", AnyText, nullable=False),
    Column("source_provider", AnyText),
    Column("tags", JsonText),
    Column("install_count", Integer, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("updated_at_ms", BigInteger, nullable=False),
    UniqueConstraint("api_key_id", "name", "version"),
)

skill_executions = Table(
    "skill_executions",
    metadata,
    Column("id", AnyText, primary_key=True),
    Column(
        "skill_id",
        AnyText,
        ForeignKey("skills.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("api_key_id", AnyText, nullable=False),
    Column("session_id", AnyText, nullable=False),
    Column("input", JsonText),
    Column("output", JsonText),
    Column("status", AnyText, nullable=False, index=True),
    Column("error_message", AnyText),
    Column("duration_ms", BigInteger),
    Column("holder", AnyText),
    Column("created_at_ms", BigInteger, nullable=False, index=True),
    Index(None, "api_key_id", "created_at_ms"),
)
