"""Usage by hour, added up from what is there already, and the call log."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

FILL = """
INSERT INTO usage_rollups (
    hour_ms, provider, model, connection_id, api_key_id,
    requests, attempts, prompt_tokens, completion_tokens, cost_micro_usd, unpriced, last_used_ms
)
SELECT
    timestamp - timestamp % 3600000, provider, model, connection_id, COALESCE(api_key_id, ''),
    SUM(CASE WHEN attempt = last_attempt THEN 1 ELSE 0 END),
    COUNT(*),
    SUM(tokens_input + tokens_cache_read + tokens_cache_creation),
    SUM(tokens_output + tokens_reasoning),
    SUM(COALESCE(cost_micro_usd, 0)),
    SUM(CASE WHEN cost_micro_usd IS NULL AND tokens_input + tokens_cache_read
        + tokens_cache_creation + tokens_output + tokens_reasoning > 0 THEN 1 ELSE 0 END),
    MAX(timestamp)
FROM usage_history
JOIN (
    SELECT request_id AS ended, MAX(attempt) AS last_attempt FROM usage_history GROUP BY request_id
) AS endings ON ended = request_id
GROUP BY timestamp - timestamp % 3600000, provider, model, connection_id, COALESCE(api_key_id, '')
"""


def upgrade() -> None:
    op.create_table(
        "usage_rollups",
        sa.Column("hour_ms", sa.BigInteger(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("connection_id", sa.Text(), nullable=False),
        sa.Column("api_key_id", sa.Text(), nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("prompt_tokens", sa.BigInteger(), nullable=False),
        sa.Column("completion_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cost_micro_usd", sa.BigInteger(), nullable=False),
        sa.Column("unpriced", sa.BigInteger(), nullable=False),
        sa.Column("last_used_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "hour_ms",
            "provider",
            "model",
            "connection_id",
            "api_key_id",
            name=op.f("pk_usage_rollups"),
        ),
    )
    op.execute(FILL)
    op.create_table(
        "call_logs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("timestamp_ms", sa.BigInteger(), nullable=False),
        sa.Column("door", sa.Text(), nullable=False),
        sa.Column("method", sa.Text()),
        sa.Column("path", sa.Text()),
        sa.Column("status", sa.Integer()),
        sa.Column("success", sa.Boolean(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("requested_model", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text()),
        sa.Column("model", sa.Text()),
        sa.Column("connection_id", sa.Text()),
        sa.Column("account", sa.Text()),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("duration_ms", sa.BigInteger(), nullable=False),
        sa.Column("tokens_in", sa.BigInteger(), nullable=False),
        sa.Column("tokens_out", sa.BigInteger(), nullable=False),
        sa.Column("tokens_cache_read", sa.BigInteger(), nullable=False),
        sa.Column("tokens_cache_creation", sa.BigInteger(), nullable=False),
        sa.Column("tokens_reasoning", sa.BigInteger(), nullable=False),
        sa.Column("estimated", sa.Boolean(), nullable=False),
        sa.Column("cost_micro_usd", sa.BigInteger()),
        sa.Column("cache_source", sa.Text()),
        sa.Column("source_format", sa.Text()),
        sa.Column("target_format", sa.Text()),
        sa.Column("api_key_id", sa.Text()),
        sa.Column("api_key_name", sa.Text()),
        sa.Column("combo_name", sa.Text()),
        sa.Column("combo_step_id", sa.Text()),
        sa.Column("combo_execution_key", sa.Text()),
        sa.Column("error", sa.Text()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_call_logs")),
    )
    op.create_index(op.f("ix_call_logs_timestamp_ms"), "call_logs", ["timestamp_ms"])
    for column in ("provider", "api_key_id", "combo_name"):
        op.create_index(
            op.f(f"ix_call_logs_{column}_timestamp_ms"), "call_logs", [column, "timestamp_ms"]
        )
