"""Says in plain words how the gateway and its providers are."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from omniroute.caller import Caller
from omniroute.engine import Engine
from omniroute.operations.routing.resilience import locked_models, request_limits
from omniroute.operations.system.health import BreakerLine, GatewayHealth, get_health
from omniroute.operations.usage.telemetry import TelemetrySummary, telemetry_summary
from omniroute.skills.skill import Emit, Skill, SkillReply, SkillRequest

MOST_QUEUES = 10


class Queue(Struct, frozen=True, kw_only=True, rename="camel"):
    """Requests in line and being served at one account; `max_concurrent` None is any number."""

    key: str
    queued: int
    running: int
    max_concurrent: int | None


class Report(Struct, frozen=True, kw_only=True):
    """Everything the skill tells. `lockouts` counts models that are left alone."""

    health: GatewayHealth
    broken: Sequence[BreakerLine]
    queues: Sequence[Queue]
    lockouts: int
    telemetry: TelemetrySummary

    @property
    def status(self) -> str:
        """`degraded` as soon as anything is in the way of a request, else what health says."""
        waiting = any(queue.queued for queue in self.queues)
        return "degraded" if self.broken or waiting or self.lockouts else self.health.status


async def run(engine: Engine, request: SkillRequest, emit: Emit) -> SkillReply:
    """A sentence on status and providers, with the facts as metadata. Reads no input."""
    health = await get_health(engine, request.caller)
    report = Report(
        health=health,
        broken=[row for row in health.circuit_breakers if row.state != "CLOSED"],
        queues=await _queues(engine, request.caller),
        lockouts=len(await locked_models(engine, request.caller)),
        telemetry=await telemetry_summary(engine, request.caller),
    )
    text = _told(report)
    await emit(text)
    return SkillReply(text, _metadata(report))


async def _queues(engine: Engine, caller: Caller) -> list[Queue]:
    """The accounts with requests, the busiest first. Only operators see which they are."""
    accounts = engine.snapshot.connections
    found = [
        Queue(
            key=f"{row.provider}:{row.connection_id if caller.is_operator else 'hidden'}",
            queued=row.queued,
            running=row.running,
            max_concurrent=accounts[row.connection_id].max_concurrent,
        )
        for row in (await request_limits(engine, caller)).connections
        if row.queued or row.running
    ]
    return sorted(found, key=lambda queue: (-queue.queued, -queue.running, queue.key))


def _told(report: Report) -> str:
    health = report.health
    lines = [
        f"The gateway is {report.status} (version {health.version}, up {health.uptime}).",
        (
            f"{health.provider_summary.active_count} providers have an active account; "
            f"storage is {health.storage}."
        ),
    ]
    lines += [
        f"{row.provider} is {row.state} after {row.failure_count} failures"
        + (f", next try in {row.retry_after_ms / 1000:.0f} s." if row.retry_after_ms else ".")
        for row in report.broken
    ]
    queued = sum(queue.queued for queue in report.queues)
    if queued:
        lines.append(f"{queued} requests wait in line.")
    if report.lockouts:
        lines.append(f"{report.lockouts} models are left alone for now.")
    if health.cooldowns:
        lines.append(f"{len(health.cooldowns)} accounts are cooling down.")
    if not report.broken and not health.cooldowns:
        lines.append("No provider is failing and no account is cooling down.")
    return " ".join(lines)


def _metadata(report: Report) -> dict[str, Any]:
    total = report.health.provider_summary.active_count
    facts = {
        "status": report.status,
        "providerSummary": {
            "total": total,
            "healthy": max(0, total - len(report.broken)),
            "degradedCount": len(report.broken),
        },
        "degradedProviders": [
            {
                "provider": row.provider,
                "state": row.state,
                "failures": row.failure_count,
                "retryAfterMs": row.retry_after_ms,
                "lastFailure": row.last_failure,
            }
            for row in report.broken
        ],
        "activeRateLimits": report.queues[:MOST_QUEUES],
        "lockoutCount": report.lockouts,
        "telemetry": report.telemetry,
    }
    plain: dict[str, Any] = msgspec.to_builtins(facts)
    return plain


SKILL = Skill(
    id="health-report",
    name="Health report",
    description="Reports how the gateway is: breakers, queues, cooling accounts, storage, uptime.",
    tags=("health", "monitoring", "resilience"),
    examples=("How is the gateway doing?", "Is any provider down?"),
    time_limit_s=10.0,
    run=run,
)
