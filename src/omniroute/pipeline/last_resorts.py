"""Who is asked when what was planned has failed: a model's relatives, and what stands by."""

from collections.abc import Collection

from omniroute.errors import UpstreamFailed
from omniroute.routing.plan import Plan
from omniroute.routing.resilience.health import HealthView
from omniroute.routing.resilience.verdicts import Verdict
from omniroute.routing.snapshot import Snapshot
from omniroute.routing.standby import roomier, stand_ins
from omniroute.routing.targets import Candidate

_NOT_THERE = frozenset({"unknown_model", "not_found"})
_TOO_SMALL = "context_overflow"
_SPENT = frozenset({"credits_exhausted", "quota_exhausted"})
_DOWN = frozenset({500, 502, 503, 504})


def instead_of(
    failed: Candidate, verdict: Verdict, made: Plan, snapshot: Snapshot, view: HealthView
) -> list[Candidate]:
    """Relatives of a model that is not there or too small; none in combos, which have their own
    order of fallbacks."""
    fits = verdict.reason in _NOT_THERE or verdict.reason == _TOO_SMALL
    if not fits or made.combo is not None or failed.stands_in_for is not None:
        return []
    found = stand_ins(failed, made.survey.facts, snapshot)
    found = [row for row in found if view.blocked(*row.place) is None]
    return roomier(found, failed) if verdict.reason == _TOO_SMALL else found


def standing_by(
    made: Plan, verdicts: Collection[Verdict], error: UpstreamFailed
) -> list[Candidate]:
    """What the plan holds ready for this end of a walk."""
    if made.combo is not None and error.status in _DOWN:
        found = [row for row in made.standby if row.when == "combo_unavailable"]
        if found:
            return found
    if any(verdict.reason in _SPENT for verdict in verdicts):
        return [row for row in made.standby if row.when == "out_of_money"]
    return []
