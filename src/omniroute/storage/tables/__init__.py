"""The SQL tables: one schema for SQLite and PostgreSQL, named after the reference layout.

Times are ISO-8601 text unless a name ends in `_ms` or a comment says so; money is micro-USD.
A change here needs a new file in `migrations/versions`; a test compares the two.
"""

from omniroute.storage.tables.access import audit_log, lockouts
from omniroute.storage.tables.columns import metadata
from omniroute.storage.tables.compression import (
    compression_analytics,
    compression_combo_assignments,
    compression_combos,
)
from omniroute.storage.tables.configuration import (
    agents,
    api_keys,
    combos,
    key_value,
    model_combo_mappings,
    provider_connections,
    provider_nodes,
    sync_tokens,
)
from omniroute.storage.tables.doors import (
    a2a_push_configs,
    a2a_push_deliveries,
    a2a_task_events,
    a2a_tasks,
    mcp_tasks,
    mcp_tool_audit,
)
from omniroute.storage.tables.knowledge import memories, skill_executions, skills
from omniroute.storage.tables.live import (
    context_handoffs,
    conversation_pins,
    health_states,
    key_sessions,
    oauth_states,
    quota_snapshots,
    rate_windows,
    refresh_leases,
    rotation_states,
    session_account_affinity,
)
from omniroute.storage.tables.money import budget_leases, budget_windows, budgets
from omniroute.storage.tables.proxies import proxy_assignments, proxy_logs, proxy_registry
from omniroute.storage.tables.requests import (
    call_logs,
    call_payloads,
    response_cache,
    routing_decisions,
    run_steps,
    stored_responses,
    usage_history,
    usage_rollups,
)

__all__ = [
    "a2a_push_configs",
    "a2a_push_deliveries",
    "a2a_task_events",
    "a2a_tasks",
    "agents",
    "api_keys",
    "audit_log",
    "budget_leases",
    "budget_windows",
    "budgets",
    "call_logs",
    "call_payloads",
    "combos",
    "compression_analytics",
    "compression_combo_assignments",
    "compression_combos",
    "context_handoffs",
    "conversation_pins",
    "health_states",
    "key_sessions",
    "key_value",
    "lockouts",
    "mcp_tasks",
    "mcp_tool_audit",
    "memories",
    "metadata",
    "model_combo_mappings",
    "oauth_states",
    "provider_connections",
    "provider_nodes",
    "proxy_assignments",
    "proxy_logs",
    "proxy_registry",
    "quota_snapshots",
    "rate_windows",
    "refresh_leases",
    "response_cache",
    "rotation_states",
    "routing_decisions",
    "run_steps",
    "session_account_affinity",
    "skill_executions",
    "skills",
    "stored_responses",
    "sync_tokens",
    "usage_history",
    "usage_rollups",
]
