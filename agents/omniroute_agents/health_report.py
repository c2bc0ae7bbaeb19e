"""Says in plain words how the gateway and its providers are."""

from typing import Any

import msgspec

from omniroute.engine import Engine
from omniroute.operations.system.health import GatewayHealth, get_health
from omniroute.skills.skill import Emit, Skill, SkillReply, SkillRequest


async def run(engine: Engine, request: SkillRequest, emit: Emit) -> SkillReply:
    """A sentence on status and providers, with the facts as metadata. Reads no input."""
    health = await get_health(engine, request.caller)
    text = _told(health)
    await emit(text)
    return SkillReply(text, _metadata(health))


def _told(health: GatewayHealth) -> str:
    summary = health.provider_summary
    lines = [
        f"The gateway is {health.status} (version {health.version}, up {health.uptime}).",
        f"{summary.active_count} providers have an active account; storage is {health.storage}.",
    ]
    broken = [row for row in health.circuit_breakers if row.state != "CLOSED"]
    lines += [
        f"{row.provider} is {row.state} after {row.failure_count} failures"
        + (f", next try in {row.retry_after_ms / 1000:.0f} s." if row.retry_after_ms else ".")
        for row in broken
    ]
    if health.cooldowns:
        lines.append(f"{len(health.cooldowns)} accounts are cooling down.")
    if not broken and not health.cooldowns:
        lines.append("No provider is failing and no account is cooling down.")
    return " ".join(lines)


def _metadata(health: GatewayHealth) -> dict[str, Any]:
    broken = [row for row in health.circuit_breakers if row.state != "CLOSED"]
    total = health.provider_summary.active_count
    facts = {
        "status": health.status,
        "providerSummary": {
            "total": total,
            "healthy": total - len(broken),
            "degradedCount": len(broken),
        },
        "degradedProviders": [
            {
                "provider": row.provider,
                "state": row.state,
                "failures": row.failure_count,
                "retryAfterMs": row.retry_after_ms,
                "lastFailure": row.last_failure,
            }
            for row in broken
        ],
        "activeRateLimits": [],
        "lockoutCount": len(health.cooldowns),
        "telemetry": {"uptimeMs": health.uptime_ms, "memoryUsage": health.memory_usage},
    }
    plain: dict[str, Any] = msgspec.to_builtins(facts)
    return plain


SKILL = Skill(
    id="health-report",
    name="Health report",
    description="Reports how the gateway is: breakers, cooling accounts, storage, uptime.",
    tags=("health", "monitoring", "resilience"),
    examples=("How is the gateway doing?", "Is any provider down?"),
    time_limit_s=10.0,
    run=run,
)
