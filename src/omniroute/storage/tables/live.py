"""Live state that survives a restart or is shared between processes."""

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Table

from omniroute.storage.tables.columns import AnyText, JsonText, metadata

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
