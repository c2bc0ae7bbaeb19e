"""The SQL tables: one schema for SQLite and PostgreSQL, named after the reference layout.

Times are ISO-8601 text unless a name ends in `_ms` or a comment says so; money is micro-USD.
A change here needs a new file in `migrations/versions`; a test compares the two.
"""

import logging
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.engine import Dialect

from omniroute.storage.search_index import comes_with

log = logging.getLogger(__name__)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class AnyText(TypeDecorator[str]):
    """Text from outside. PostgreSQL refuses NUL and UTF-8 has no lone surrogates: both are
    replaced, because a name a client made up must not make a record unstorable."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, _dialect: Dialect) -> str | None:
        if value is None or (value.isascii() and "\x00" not in value):
            return value
        clean = value.replace("\x00", "\N{REPLACEMENT CHARACTER}")
        return clean.encode("utf-8", "replace").decode()


class JsonText(TypeDecorator[Any]):
    """JSON kept as text, so both databases return exactly what was written.

    Reads None where the stored text is not JSON; the repository then takes its default.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, _dialect: Dialect) -> str | None:
        return None if value is None else msgspec.json.encode(value).decode()

    def process_result_value(self, value: str | None, _dialect: Dialect) -> Any:
        if value is None:
            return None
        try:
            return msgspec.json.decode(value)
        except msgspec.DecodeError:
            log.warning("a stored JSON column is damaged and is read as empty")
            return None


# SQLite numbers rows by itself only for a column declared exactly INTEGER PRIMARY KEY.
RowNumber = BigInteger().with_variant(Integer, "sqlite")

provider_connections = Table(
    "provider_connections",
    metadata,
    Column("id", AnyText, primary_key=True),
    Column("provider", AnyText, nullable=False),
    Column("auth_type", AnyText, nullable=False),
    Column("name", AnyText, nullable=False),
    Column("api_key", AnyText),  # ciphertext
    Column("priority", Integer, nullable=False),
    Column("global_priority", Integer),
    Column("default_model", AnyText),
    Column("is_active", Boolean, nullable=False),
    Column("group_name", AnyText),
    Column("max_concurrent", Integer),
    Column("provider_specific_data", JsonText),  # its secret members are ciphertext
    Column("quota_window_thresholds", JsonText),
    Column("test_status", AnyText, nullable=False),
    Column("last_error", AnyText),
    Column("last_error_at", AnyText),
    Column("last_error_type", AnyText),
    Column("error_code", AnyText),
    Column("rate_limited_until", AnyText),
    Column("backoff_level", Integer, nullable=False),
    Column("created_at", AnyText, nullable=False),
    Column("updated_at", AnyText, nullable=False),
    Column("display_name", AnyText),
    Column("email", AnyText),
    Column("access_token", AnyText),  # ciphertext, as the two below
    Column("refresh_token", AnyText),
    Column("id_token", AnyText),
    Column("token_type", AnyText),
    Column("scope", AnyText),
    Column("project_id", AnyText),
    Column("expires_at", AnyText),
    Column("token_expires_at", AnyText),
    Column("expires_in", BigInteger),
    Column("rate_limit_protection", Boolean),
    Column("health_check_interval", Integer),
    Column("last_health_check_at", AnyText),
    Column("last_tested", AnyText),
    Column("last_error_source", AnyText),
    UniqueConstraint("provider", "auth_type", "name"),
)

provider_nodes = Table(
    "provider_nodes",
    metadata,
    Column("id", AnyText, primary_key=True),
    Column("type", AnyText, nullable=False),
    Column("name", AnyText, nullable=False),
    Column("prefix", AnyText, nullable=False, unique=True),
    Column("api_type", AnyText),
    Column("base_url", AnyText, nullable=False),
    Column("chat_path", AnyText, nullable=False),
    Column("models_path", AnyText, nullable=False),
    Column("created_at", AnyText, nullable=False),
    Column("updated_at", AnyText, nullable=False),
    Column("headers", JsonText),
)

key_value = Table(
    "key_value",
    metadata,
    Column("namespace", AnyText, primary_key=True),
    Column("key", AnyText, primary_key=True),
    Column("value", JsonText, nullable=False),
)

combos = Table(
    "combos",
    metadata,
    Column("id", AnyText, primary_key=True),
    Column("name", AnyText, nullable=False, unique=True),
    Column("data", JsonText, nullable=False),
    Column("sort_order", Integer, nullable=False),
    Column("system_message", AnyText),
    Column("tool_filter_regex", AnyText),
    Column("context_cache_protection", Boolean, nullable=False),
    Column("created_at", AnyText, nullable=False),
    Column("updated_at", AnyText, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", AnyText, primary_key=True),
    Column("name", AnyText, nullable=False),
    Column("key_hash", AnyText, nullable=False, unique=True),
    Column("key_prefix", AnyText, nullable=False),
    Column("key_suffix", AnyText, nullable=False),
    Column("machine_id", AnyText, nullable=False),
    Column("scopes", JsonText, nullable=False),
    Column("allowed_models", JsonText, nullable=False),
    Column("allowed_connections", JsonText, nullable=False),
    Column("no_log", Boolean, nullable=False),
    Column("is_active", Boolean, nullable=False),
    Column("is_banned", Boolean, nullable=False),
    Column("expires_at", AnyText),
    Column("revoked_at", AnyText),
    Column("last_used_at", AnyText),
    Column("created_at", AnyText, nullable=False),
    Column("auto_resolve", Boolean),
    Column("max_sessions", Integer),
    Column("access_schedule", JsonText),
    Column("rate_limits", JsonText),
    Column("max_requests_per_day", BigInteger),
    Column("max_requests_per_minute", BigInteger),
    Column("ip_allowlist", JsonText),
    Column("previous_key_hash", AnyText),
    Column("previous_until_ms", BigInteger),
    Column("sealed_key", AnyText),  # ciphertext, where keys may be revealed
    Column("disabled_guardrails", JsonText),
)

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

model_combo_mappings = Table(
    "model_combo_mappings",
    metadata,
    Column("id", AnyText, primary_key=True),
    Column("pattern", AnyText, nullable=False),
    Column("combo_id", ForeignKey("combos.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("priority", Integer, nullable=False, index=True),
    Column("enabled", Boolean, nullable=False),
    Column("description", AnyText, nullable=False),
    Column("created_at", AnyText, nullable=False),
    Column("updated_at", AnyText, nullable=False),
)

agents = Table(
    "agents",
    metadata,
    Column("id", AnyText, primary_key=True),
    Column("title", AnyText, nullable=False),
    Column("description", AnyText, nullable=False),
    Column("model", AnyText, nullable=False),
    Column("system_prompt", AnyText, nullable=False),
    Column("tools", JsonText, nullable=False),
    Column("approval", JsonText, nullable=False),
    Column("tags", JsonText, nullable=False),
    Column("examples", JsonText, nullable=False),
    Column("max_steps", Integer, nullable=False),
    Column("time_limit_s", Integer, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("created_at", AnyText, nullable=False),
    Column("updated_at", AnyText, nullable=False),
)

budgets = Table(
    "budgets",
    metadata,
    Column("scope_kind", AnyText, primary_key=True),
    Column("scope_id", AnyText, primary_key=True),
    Column("daily_micro_usd", BigInteger),
    Column("weekly_micro_usd", BigInteger),
    Column("monthly_micro_usd", BigInteger),
    Column("total_micro_usd", BigInteger),
    Column("warning_threshold", Float, nullable=False),
    Column("reset_interval", AnyText, nullable=False),
    Column("reset_time", AnyText, nullable=False),
    Column("action", AnyText, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("updated_at_ms", BigInteger, nullable=False),
)

budget_windows = Table(
    "budget_windows",
    metadata,
    Column("scope_kind", AnyText, primary_key=True),
    Column("scope_id", AnyText, primary_key=True),
    Column("period", AnyText, primary_key=True),
    Column("start_ms", BigInteger, primary_key=True),
    Column("end_ms", BigInteger),
    Column("spent_micro_usd", BigInteger, nullable=False),
)

# What processes may spend without asking; below zero where more was spent than leased.
budget_leases = Table(
    "budget_leases",
    metadata,
    Column("holder", AnyText, primary_key=True),
    Column("scope_kind", AnyText, primary_key=True),
    Column("scope_id", AnyText, primary_key=True),
    Column("period", AnyText, primary_key=True),
    Column("start_ms", BigInteger, primary_key=True),
    Column("micro_usd", BigInteger, nullable=False),
    Column("seen_ms", BigInteger, nullable=False),
    Index(None, "scope_kind", "scope_id", "period", "start_ms"),
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

health_states = Table(
    "health_states",
    metadata,
    Column("scope", AnyText, primary_key=True),  # breaker, cooldown, lockout or tools
    Column("name", AnyText, primary_key=True),
    Column("state", JsonText),
)

# Requests that processes have taken of each window; what they do not use they give back.
rate_windows = Table(
    "rate_windows",
    metadata,
    Column("key_id", AnyText, primary_key=True),
    Column("window_s", BigInteger, primary_key=True),
    Column("start_s", BigInteger, primary_key=True),  # epoch seconds
    Column("taken", BigInteger, nullable=False),
)

# Sessions of keys that may have only so many.
key_sessions = Table(
    "key_sessions",
    metadata,
    Column("key_id", AnyText, primary_key=True),
    Column("session_id", AnyText, primary_key=True),
    Column("created_ms", BigInteger, nullable=False),
    Column("seen_ms", BigInteger, nullable=False, index=True),
    Column("requests", BigInteger, nullable=False),
    Column("connection_id", AnyText),
)

session_account_affinity = Table(
    "session_account_affinity",
    metadata,
    Column("session_key", AnyText, primary_key=True),
    Column("provider", AnyText, primary_key=True),
    Column("connection_id", AnyText, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("last_seen_ms", BigInteger, nullable=False, index=True),
)

rotation_states = Table(
    "rotation_states",
    metadata,
    Column("scope", AnyText, primary_key=True),  # turn, use or latest
    Column("name", AnyText, primary_key=True),
    Column("state", JsonText),
)

# Summaries of conversations that wait for another account.
context_handoffs = Table(
    "context_handoffs",
    metadata,
    Column("session", AnyText, primary_key=True),
    Column("combo", AnyText, primary_key=True),
    Column("data", AnyText, nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False, index=True),
)

quota_snapshots = Table(
    "quota_snapshots",
    metadata,
    Column("id", AnyText, primary_key=True),
    Column("provider", AnyText, nullable=False),
    Column("connection_id", AnyText, nullable=False),
    Column("window_key", AnyText, nullable=False),
    Column("remaining_percentage", Float),
    Column("is_exhausted", Boolean, nullable=False),
    Column("next_reset_at_ms", BigInteger),
    Column("window_duration_ms", BigInteger),
    Column("raw_data", JsonText),
    Column("created_at_ms", BigInteger, nullable=False),
    Index(None, "provider", "created_at_ms"),
    Index(None, "connection_id", "created_at_ms"),
)

# The models conversations keep in combos that protect them.
conversation_pins = Table(
    "conversation_pins",
    metadata,
    Column("conversation", AnyText, primary_key=True),
    Column("combo", AnyText, primary_key=True),
    Column("provider", AnyText, nullable=False),
    Column("model", AnyText, nullable=False),
    Column("last_seen_ms", BigInteger, nullable=False, index=True),
)

# Who changed what. `details` never hold credentials.
audit_log = Table(
    "audit_log",
    metadata,
    Column("id", RowNumber, primary_key=True, autoincrement=True),
    Column("timestamp_ms", BigInteger, nullable=False, index=True),
    Column("action", AnyText, nullable=False, index=True),
    Column("actor", AnyText, nullable=False, index=True),
    Column("target", AnyText),
    Column("details", JsonText),
    Column("metadata", JsonText),
    Column("ip_address", AnyText),
    Column("resource_type", AnyText, nullable=False, index=True),
    Column("status", AnyText, nullable=False, index=True),
    Column("request_id", AnyText, index=True),
    sqlite_autoincrement=True,
)

proxy_registry = Table(
    "proxy_registry",
    metadata,
    Column("id", AnyText, primary_key=True),
    Column("name", AnyText, nullable=False),
    Column("type", AnyText, nullable=False),
    Column("host", AnyText, nullable=False, index=True),
    Column("port", Integer, nullable=False),
    Column("username", AnyText),  # sealed, like the password
    Column("password", AnyText),
    Column("region", AnyText),
    Column("notes", AnyText),
    Column("status", AnyText, nullable=False, index=True),
    Column("source", AnyText, nullable=False),
    Column("created_at", AnyText, nullable=False),
    Column("updated_at", AnyText, nullable=False),
)

proxy_assignments = Table(
    "proxy_assignments",
    metadata,
    Column("id", AnyText, primary_key=True),
    Column(
        "proxy_id",
        AnyText,
        ForeignKey("proxy_registry.id", ondelete="RESTRICT"),
        nullable=False,
        index=True,
    ),
    Column("scope", AnyText, nullable=False),
    Column("scope_id", AnyText, nullable=False),
    Column("created_at", AnyText, nullable=False),
    Column("updated_at", AnyText, nullable=False),
    UniqueConstraint("scope", "scope_id"),
)

# No foreign keys: what a proxy did outlives it.
proxy_logs = Table(
    "proxy_logs",
    metadata,
    Column("id", AnyText, primary_key=True),
    Column("timestamp_ms", BigInteger, nullable=False, index=True),
    Column("status", AnyText, nullable=False),
    Column("proxy_id", AnyText),
    Column("proxy_type", AnyText, nullable=False),
    Column("proxy_host", AnyText, nullable=False),
    Column("proxy_port", Integer, nullable=False),
    Column("level", AnyText, nullable=False),
    Column("level_id", AnyText),
    Column("provider", AnyText, index=True),
    Column("target_url", AnyText),
    Column("public_ip", AnyText),
    Column("latency_ms", BigInteger, nullable=False),
    Column("error", AnyText),
    Column("connection_id", AnyText),
    Column("combo_id", AnyText),
    Column("account", AnyText),
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

# Who failed to sign in, and how often of late.
lockouts = Table(
    "lockouts",
    metadata,
    Column("identifier", AnyText, primary_key=True),
    Column("attempts", JsonText),  # epoch milliseconds
    Column("locked_until_ms", BigInteger, nullable=False, index=True),
)

# Sign-ins that have begun. A `state` is kept as its SHA-256.
oauth_states = Table(
    "oauth_states",
    metadata,
    Column("state", AnyText, primary_key=True),
    Column("provider", AnyText, nullable=False),
    Column("verifier", AnyText, nullable=False),  # sealed
    Column("redirect_uri", AnyText, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False, index=True),
    Column("consumed_at_ms", BigInteger),
)

# Which process refreshes the tokens of an account. No foreign key: it is gone in seconds.
refresh_leases = Table(
    "refresh_leases",
    metadata,
    Column("connection_id", AnyText, primary_key=True),
    Column("holder", AnyText, nullable=False),
    Column("until_ms", BigInteger, nullable=False),
)

# Who may fetch the configuration. Tokens are kept as their SHA-256.
sync_tokens = Table(
    "sync_tokens",
    metadata,
    Column("id", AnyText, primary_key=True),
    Column("name", AnyText, nullable=False),
    Column("token_hash", AnyText, nullable=False, unique=True),
    Column("sync_api_key_id", AnyText),
    Column("revoked_at", AnyText),
    Column("last_used_at", AnyText),
    Column("created_at", AnyText, nullable=False),
    Column("updated_at", AnyText, nullable=False),
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

# Named pipelines of compression, exactly one of them the default, and the combos they are for.
compression_combos = Table(
    "compression_combos",
    metadata,
    Column("id", AnyText, primary_key=True),
    Column("name", AnyText, nullable=False),
    Column("description", AnyText, nullable=False),
    Column("pipeline", JsonText),
    Column("language_packs", JsonText),
    Column("output_mode", Boolean, nullable=False),
    Column("output_mode_intensity", AnyText, nullable=False),
    Column("is_default", Boolean, nullable=False, index=True),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("updated_at_ms", BigInteger, nullable=False),
)

compression_combo_assignments = Table(
    "compression_combo_assignments",
    metadata,
    Column("id", AnyText, primary_key=True),
    Column(
        "compression_combo_id",
        AnyText,
        ForeignKey("compression_combos.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column(
        "routing_combo_id",
        AnyText,
        ForeignKey("combos.id", ondelete="CASCADE"),
        nullable=False,
        unique=True,
    ),
    Column("created_at_ms", BigInteger, nullable=False),
)

# What was said in fewer tokens: a row for each request, and snapshots of what is listed over MCP.
compression_analytics = Table(
    "compression_analytics",
    metadata,
    Column("id", RowNumber, primary_key=True, autoincrement=True),
    Column("timestamp_ms", BigInteger, nullable=False, index=True),
    Column("combo_id", AnyText),
    Column("provider", AnyText, index=True),
    Column("mode", AnyText, nullable=False),
    Column("engine", AnyText, nullable=False),
    Column("compression_combo_id", AnyText),
    Column("original_tokens", BigInteger, nullable=False),
    Column("compressed_tokens", BigInteger, nullable=False),
    Column("tokens_saved", BigInteger, nullable=False),
    Column("duration_ms", BigInteger, nullable=False),
    Column("request_id", AnyText, index=True),
    Column("actual_prompt_tokens", BigInteger),
    Column("actual_completion_tokens", BigInteger),
    Column("actual_total_tokens", BigInteger),
    Column("actual_cache_read_tokens", BigInteger),
    Column("actual_cache_write_tokens", BigInteger),
    Column("estimated_saved_micro_usd", BigInteger, nullable=False),
    Column("receipt_source", AnyText, index=True),
    Column("validation_fallback", Boolean, nullable=False),
    Column("mcp_description_tokens_saved", BigInteger, nullable=False),
)
