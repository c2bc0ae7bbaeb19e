"""What requests leave behind: usage, decisions, the call log, kept answers, runs."""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, Table

from omniroute.storage.tables.columns import AnyText, metadata

usage_history = Table(
    "usage_history",
    metadata,
    Column("id", AnyText, primary_key=True),
    Column("request_id", AnyText, nullable=False, index=True),
    Column("attempt", Integer, nullable=False),
    Column("timestamp", BigInteger, nullable=False, index=True),  # epoch milliseconds
    Column("provider", AnyText, nullable=False),
    Column("model", AnyText, nullable=False),
    Column("connection_id", AnyText, nullable=False),
    Column("api_key_id", AnyText),
    Column("combo", AnyText),
    Column("tokens_input", BigInteger, nullable=False),
    Column("tokens_cache_read", BigInteger, nullable=False),
    Column("tokens_cache_creation", BigInteger, nullable=False),
    Column("tokens_output", BigInteger, nullable=False),
    Column("tokens_reasoning", BigInteger, nullable=False),
    Column("estimated", Boolean, nullable=False),
    Column("cost_micro_usd", BigInteger),  # null: the price is unknown
    Column("status", Integer, nullable=False),
    Column("success", Boolean, nullable=False),
    Column("error_code", AnyText),
    Column("latency_ms", BigInteger, nullable=False),
    Column("ttft_ms", BigInteger),
    Column("tokens_cache_creation_1h", BigInteger),  # null, as those below: from before 3.8.1
    Column("tokens_input_audio", BigInteger),
    Column("tokens_input_image", BigInteger),
    Column("tokens_output_audio", BigInteger),
    Column("tokens_output_image", BigInteger),
    Index(None, "provider", "timestamp"),
    Index(None, "api_key_id", "timestamp"),
    Index(None, "combo", "timestamp"),
)

# Sums over `usage_history`, so that a year of it is read in no time. A request counts where it
# ended: in the row of its last attempt.
usage_rollups = Table(
    "usage_rollups",
    metadata,
    Column("hour_ms", BigInteger, primary_key=True),
    Column("provider", AnyText, primary_key=True),
    Column("model", AnyText, primary_key=True),
    Column("connection_id", AnyText, primary_key=True),
    Column("api_key_id", AnyText, primary_key=True),  # empty: a caller without a key
    Column("requests", BigInteger, nullable=False),
    Column("attempts", BigInteger, nullable=False),
    Column("prompt_tokens", BigInteger, nullable=False),
    Column("completion_tokens", BigInteger, nullable=False),
    Column("cost_micro_usd", BigInteger, nullable=False),
    Column("unpriced", BigInteger, nullable=False),
    Column("last_used_ms", BigInteger, nullable=False),
)

call_logs = Table(
    "call_logs",
    metadata,
    Column("id", AnyText, primary_key=True),  # the request's
    Column("timestamp_ms", BigInteger, nullable=False, index=True),
    Column("door", AnyText, nullable=False),
    Column("method", AnyText),
    Column("path", AnyText),
    Column("status", Integer),  # null: no upstream was asked
    Column("success", Boolean, nullable=False),
    Column("outcome", AnyText, nullable=False),
    Column("requested_model", AnyText, nullable=False),
    Column("provider", AnyText),
    Column("model", AnyText),
    Column("connection_id", AnyText),
    Column("account", AnyText),
    Column("attempts", Integer, nullable=False),
    Column("duration_ms", BigInteger, nullable=False),
    Column("tokens_in", BigInteger, nullable=False),
    Column("tokens_out", BigInteger, nullable=False),
    Column("tokens_cache_read", BigInteger, nullable=False),
    Column("tokens_cache_creation", BigInteger, nullable=False),
    Column("tokens_reasoning", BigInteger, nullable=False),
    Column("estimated", Boolean, nullable=False),
    Column("cost_micro_usd", BigInteger),  # null: the price is unknown
    Column("cache_source", AnyText),
    Column("source_format", AnyText),
    Column("target_format", AnyText),
    Column("api_key_id", AnyText),
    Column("api_key_name", AnyText),
    Column("combo_name", AnyText),
    Column("combo_step_id", AnyText),
    Column("combo_execution_key", AnyText),
    Column("error", AnyText),
    Index(None, "provider", "timestamp_ms"),
    Index(None, "api_key_id", "timestamp_ms"),
    Index(None, "combo_name", "timestamp_ms"),
)

routing_decisions = Table(
    "routing_decisions",
    metadata,
    Column("request_id", AnyText, primary_key=True),
    Column("timestamp", BigInteger, nullable=False, index=True),  # epoch milliseconds
    Column("api_key_id", AnyText),
    Column("source", AnyText, nullable=False),
    Column("combo", AnyText),
    Column("provider", AnyText),
    Column("model", AnyText),
    Column("success", Boolean, nullable=False),
    Column("status", Integer, nullable=False),
    Column("cost_micro_usd", BigInteger),
    Column("latency_ms", BigInteger, nullable=False),
    Column("data", AnyText, nullable=False),
)

# What requests and answers said, where that is kept; compressed.
call_payloads = Table(
    "call_payloads",
    metadata,
    Column("id", AnyText, primary_key=True),  # the request's
    Column("timestamp_ms", BigInteger, nullable=False, index=True),
    Column("request", LargeBinary),
    Column("response", LargeBinary),
    Column("cut", Boolean, nullable=False),
)

stored_responses = Table(
    "stored_responses",
    metadata,
    Column("id", AnyText, primary_key=True),
    Column("owner", AnyText, nullable=False),
    Column("status", AnyText, nullable=False),
    Column("background", Boolean, nullable=False),
    Column("previous_id", AnyText),
    Column("request", AnyText, nullable=False),  # the client's body
    Column("response", AnyText, nullable=False),  # the wire object
    Column("lease_until_ms", BigInteger, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False, index=True),
    Index(None, "status", "lease_until_ms"),
)

response_cache = Table(
    "response_cache",
    metadata,
    Column("signature", AnyText, primary_key=True),
    Column("owner", AnyText, nullable=False),
    Column("model", AnyText, nullable=False, index=True),
    Column("data", AnyText, nullable=False),
    Column("tokens", BigInteger, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False, index=True),
    Column("expires_at_ms", BigInteger, nullable=False, index=True),
    Column("hits", BigInteger, nullable=False),
)

# What agents want to know again. `terms` are the words of key and content, for the full-text
# index, whose triggers a migration that copies this table must make anew.
run_steps = Table(
    "run_steps",
    metadata,
    Column("id", AnyText, primary_key=True),
    Column("run_id", AnyText, nullable=False),
    Column("parent_id", AnyText),
    Column("kind", AnyText, nullable=False),
    Column("name", AnyText, nullable=False),
    Column("door", AnyText, nullable=False),
    Column("owner", AnyText, nullable=False),
    Column("status", AnyText, nullable=False),
    Column("verdict", AnyText, nullable=False),
    Column("request_id", AnyText),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("cost_micro_usd", BigInteger),
    Column("started_at_ms", BigInteger, nullable=False, index=True),
    Column("ended_at_ms", BigInteger),
    Index(None, "run_id", "started_at_ms"),
)
