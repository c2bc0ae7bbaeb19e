"""What is configured: accounts, nodes, combos, keys, mappings, agents."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Integer, Table, UniqueConstraint

from omniroute.storage.tables.columns import AnyText, JsonText, metadata

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
