"""What the MCP and A2A doors keep: calls, tasks, and who is told of them."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, Table

from omniroute.storage.tables.columns import AnyText, RowNumber, metadata

mcp_tool_audit = Table(
    "mcp_tool_audit",
    metadata,
    Column("id", RowNumber, primary_key=True, autoincrement=True),
    Column("tool_name", AnyText, nullable=False, index=True),
    Column("input_hash", AnyText, nullable=False),
    Column("output_summary", AnyText, nullable=False),
    Column("duration_ms", BigInteger, nullable=False),
    Column("api_key_id", AnyText, index=True),
    Column("success", Boolean, nullable=False),
    Column("error_code", AnyText),
    Column("created_at", AnyText, nullable=False, index=True),
    sqlite_autoincrement=True,
)

a2a_tasks = Table(
    "a2a_tasks",
    metadata,
    Column("id", AnyText, primary_key=True),
    Column("owner", AnyText, nullable=False),
    Column("context_id", AnyText, nullable=False),
    Column("skill", AnyText, nullable=False),
    Column("state", AnyText, nullable=False),
    Column("finished", Boolean, nullable=False),
    Column("data", AnyText, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("updated_at_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
    Column("run_id", AnyText),
    Index(None, "owner", "updated_at_ms"),
    Index(None, "finished", "updated_at_ms"),
)

a2a_task_events = Table(
    "a2a_task_events",
    metadata,
    Column("id", RowNumber, primary_key=True, autoincrement=True),
    Column(
        "task_id",
        AnyText,
        ForeignKey("a2a_tasks.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("type", AnyText, nullable=False),
    Column("state", AnyText, nullable=False),
    Column("timestamp_ms", BigInteger, nullable=False),
    Column("message", AnyText),
    sqlite_autoincrement=True,
)

mcp_tasks = Table(
    "mcp_tasks",
    metadata,
    Column("id", AnyText, primary_key=True),
    Column("owner", AnyText, nullable=False),
    Column("holder", AnyText, index=True),  # the process that works on it, none once it has ended
    Column("data", AnyText, nullable=False),  # what its caller is told of it, as JSON
    Column("expires_at_ms", BigInteger, nullable=False, index=True),
)

a2a_push_configs = Table(
    "a2a_push_configs",
    metadata,
    Column("id", AnyText, primary_key=True),  # the task's id and its own, which the client chose
    # No foreign key: a message brings the configuration of the task it is about to make.
    Column("task_id", AnyText, nullable=False, index=True),
    Column("config_id", AnyText, nullable=False),
    Column("owner", AnyText, nullable=False),
    Column("protocol", AnyText, nullable=False),  # version of A2A its receiver understands
    Column("config", AnyText, nullable=False),  # sealed: addresses and tokens are secrets
    Column("created_at_ms", BigInteger, nullable=False, index=True),
)

a2a_push_deliveries = Table(
    "a2a_push_deliveries",
    metadata,
    Column("id", RowNumber, primary_key=True, autoincrement=True),
    Column(
        "push_config",
        AnyText,
        ForeignKey("a2a_push_configs.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column(
        "task_id",
        AnyText,
        ForeignKey("a2a_tasks.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("body", AnyText, nullable=False),
    Column("state", AnyText, nullable=False),  # pending, delivered, given_up
    Column("attempts", Integer, nullable=False),
    Column("due_at_ms", BigInteger, nullable=False),
    Column("reason", AnyText),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("updated_at_ms", BigInteger, nullable=False),
    Index(None, "state", "due_at_ms"),
    sqlite_autoincrement=True,
)
