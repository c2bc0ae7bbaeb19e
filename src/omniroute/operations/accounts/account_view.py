"""How an account is shown: without its secrets, with the state it is in right now. 02 §4.1."""

from typing import Any, TypeAlias

from msgspec import UNSET, Struct, UnsetType

from omniroute.clock import iso
from omniroute.engine import Engine
from omniroute.operations.access.masking import masked, without_secrets
from omniroute.storage.records.configuration import Connection

Told: TypeAlias = str | UnsetType


class ConnectionView(Struct, frozen=True, kw_only=True, rename="camel"):
    """An account as the management API shows it: null members are left out, but for two."""

    id: str
    provider: str
    auth_type: str
    name: str
    priority: int
    is_active: bool
    rate_limit_protection: bool
    test_status: str
    backoff_level: int
    consecutive_use_count: int
    max_concurrent: int | None
    quota_window_thresholds: dict[str, int] | None
    provider_specific_data: dict[str, Any]
    display_name: Told = UNSET
    email: Told = UNSET
    api_key: Told = UNSET
    global_priority: int | UnsetType = UNSET
    default_model: Told = UNSET
    group: Told = UNSET
    project_id: Told = UNSET
    token_type: Told = UNSET
    scope: Told = UNSET
    expires_at: Told = UNSET
    token_expires_at: Told = UNSET
    expires_in: int | UnsetType = UNSET
    health_check_interval: int | UnsetType = UNSET
    last_health_check_at: Told = UNSET
    last_tested: Told = UNSET
    last_error: Told = UNSET
    last_error_at: Told = UNSET
    last_error_type: Told = UNSET
    last_error_source: Told = UNSET
    error_code: Told = UNSET
    rate_limited_until: Told = UNSET
    created_at: Told = UNSET
    updated_at: Told = UNSET


def shown(engine: Engine, row: Connection) -> ConnectionView:
    """An account with its key masked. What requests met with is told before what a test did."""
    cooldown = engine.health.view().cooldowns.get(row.id)
    resting = cooldown is not None and (
        cooldown.terminal is not None or cooldown.until_ms > engine.now_ms()
    )
    state: dict[str, Any] = {
        "test_status": row.test_status,
        "last_error": row.last_error or UNSET,
        "last_error_at": row.last_error_at or UNSET,
        "last_error_type": row.last_error_type or UNSET,
        "last_error_source": row.last_error_source or UNSET,
        "error_code": row.error_code or UNSET,
        "rate_limited_until": UNSET,
    }
    if cooldown is not None and resting:
        state |= {
            "test_status": cooldown.terminal or "unavailable",
            "last_error": cooldown.message or UNSET,
            "last_error_at": UNSET,
            "last_error_type": cooldown.reason,
            "last_error_source": "upstream" if cooldown.status else "local",
            "error_code": str(cooldown.status) if cooldown.status else UNSET,
            "rate_limited_until": UNSET if cooldown.terminal else iso(cooldown.until_ms),
        }
    return ConnectionView(
        id=row.id,
        provider=row.provider,
        auth_type=row.auth_type,
        name=row.name,
        display_name=row.display_name or UNSET,
        email=row.email or UNSET,
        priority=row.priority,
        is_active=row.is_active,
        rate_limit_protection=engine.policy.protected(row),
        backoff_level=cooldown.level if cooldown else row.backoff_level,
        consecutive_use_count=engine.live.rotation.use(row.id).in_a_row,
        max_concurrent=row.max_concurrent,
        quota_window_thresholds=row.quota_window_thresholds,
        provider_specific_data=without_secrets(row.options),
        api_key=masked(row.api_key) if row.api_key else UNSET,
        global_priority=row.global_priority or UNSET,
        default_model=row.default_model or UNSET,
        group=row.group or UNSET,
        project_id=row.project_id or UNSET,
        token_type=row.token_type or UNSET,
        scope=row.scope or UNSET,
        expires_at=row.expires_at or UNSET,
        token_expires_at=row.token_expires_at or UNSET,
        expires_in=UNSET if row.expires_in is None else row.expires_in,
        health_check_interval=(
            UNSET if row.health_check_interval is None else row.health_check_interval
        ),
        last_health_check_at=row.last_health_check_at or UNSET,
        last_tested=row.last_tested or UNSET,
        created_at=row.created_at or UNSET,
        updated_at=row.updated_at or UNSET,
        **state,
    )
