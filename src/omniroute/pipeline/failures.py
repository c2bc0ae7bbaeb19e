"""What a caller is told when every target failed: the failure that tells the most."""

from collections.abc import Sequence

from omniroute.errors import UpstreamFailed
from omniroute.routing.naming.resolve import suggest_model
from omniroute.routing.plan import Plan
from omniroute.routing.resilience.health import HealthView
from omniroute.routing.resilience.verdicts import Failure, Verdict, informativeness
from omniroute.routing.snapshot import Snapshot
from omniroute.routing.targets import Candidate

_OWN_CODES = {
    "deadline": ("timeout_error", "DEADLINE_EXCEEDED"),
    "stream_timeout": ("stream_timeout", "STREAM_READINESS_TIMEOUT"),
    "early_eof": ("stream_early_eof", "STREAM_EARLY_EOF"),
    "proxy_connect": ("proxy_error", "PROXY_UNREACHABLE"),
    "proxy_auth": ("proxy_error", "PROXY_AUTH_FAILED"),
    "proxy_refused": ("proxy_error", "PROXY_REFUSED"),
    "proxy_off": ("proxy_error", "PROXY_UNUSABLE"),
}


def no_answer(
    failures: Sequence[tuple[Candidate, Failure, Verdict]],
    made: Plan,
    health: HealthView,
    snapshot: Snapshot,
) -> UpstreamFailed:
    """The error for a walk in which nothing delivered; the earliest of equals is shown.

    What became of models that were asked instead is nothing its author would understand.
    """
    own = [row for row in failures if row[0].stands_in_for is None and row[0].when is None]
    candidate, failure, verdict = max(own or failures, key=lambda row: informativeness(row[2]))
    error_type, code = _OWN_CODES.get(failure.cause, (failure.error_type, failure.code))
    tried = len({(row.provider, row.connection, row.model) for row, _, _ in failures})
    others = f" ({tried} targets were tried)" if tried > 1 else ""
    unknown = verdict.reason in ("unknown_model", "not_found")
    hint = suggest_model(f"{candidate.provider}/{candidate.model}", snapshot) if unknown else ""
    row = snapshot.providers[candidate.provider]
    return UpstreamFailed(
        f"{row.alias or row.id}: {failure.text or verdict.reason.replace('_', ' ')}{others}{hint}",
        status=failure.status,
        error_type=error_type,
        code=code,
        retry_after_s=_earliest_recovery_s(made, failures, health),
        extras={"provider": row.alias or row.id},
    )


def _earliest_recovery_s(
    made: Plan, failures: Sequence[tuple[Candidate, Failure, Verdict]], health: HealthView
) -> int | None:
    """Seconds until the first target recovers, be it one that failed or one left out before."""
    untils = [row.until_ms for row in made.excluded if row.until_ms is not None]
    for row, failure, _ in failures:
        blocked = health.blocked(*row.place)
        if blocked is not None and blocked[1] is not None:
            untils.append(blocked[1])
        elif failure.retry_after_ms is not None:  # said so, though nobody keeps its health
            untils.append(health.now_ms + failure.retry_after_ms)
    return -(-(min(untils) - health.now_ms) // 1000) if untils else None
