"""A past request planned again: from its own trace, or against the configuration of today."""

from collections.abc import Sequence
from itertools import zip_longest
from typing import Literal

import msgspec
from msgspec import Struct

from omniroute.caller import Caller
from omniroute.chat import Usage
from omniroute.engine import Engine
from omniroute.errors import NotFound, OmniRouteError
from omniroute.operations.routing.proposals import Proposal, proposed
from omniroute.routing.plan import Plan, from_survey
from omniroute.routing.recorded import RecordedWorld
from omniroute.routing.snapshot import Snapshot
from omniroute.routing.survey import survey
from omniroute.routing.targets import Candidate
from omniroute.routing.trace import RouteTrace


class ReplayQuery(Struct, frozen=True, rename="camel"):
    """Which request, and against what.

    Attributes:
        request_id: the id from the `X-Request-Id` header or the tool result.
        against: `trace` plans again from what was recorded; `current` puts the recorded request
            and the recorded state of the world to the configuration of today.
        proposal: changes to the configuration of today to try instead of it; nothing is stored.
    """

    request_id: str
    against: Literal["trace", "current"] = "trace"
    proposal: Proposal | None = None


class PlannedTarget(Struct, frozen=True, rename="camel"):
    """One candidate. `cost` is USD for the tokens the request really used, None when unpriced."""

    provider: str
    model: str
    connection: str
    reasons: tuple[str, ...]
    score: float | None
    cost: float | None


class Difference(Struct, frozen=True):
    """What stands in one place of the order: before, and now; None where nothing does."""

    place: int
    recorded: str | None
    replayed: str | None


class Replay(Struct, frozen=True, rename="camel"):
    """A plan made again.

    `identical` says whether every candidate, score, reason and exclusion is the same. Costs are
    USD; `cost_replayed` is that of the new first target for the same tokens, without its caches.
    """

    request_id: str
    against: str
    identical: bool
    differences: tuple[Difference, ...]
    excluded_before: tuple[str, ...]
    excluded_now: tuple[str, ...]
    recorded: tuple[PlannedTarget, ...]
    replayed: tuple[PlannedTarget, ...]
    cost_recorded: float | None
    cost_replayed: float | None
    seed: int
    snapshot_version: int
    notes: tuple[str, ...]
    text: str


async def replay_route(engine: Engine, caller: Caller, query: ReplayQuery) -> Replay:
    """Plan a past request again and say what differs. Operators see all requests, others theirs.

    Raises:
        NotFound: no such request is recorded, or it was refused before there was a plan.
        InvalidRequest: what is proposed could not be stored.
    """
    await engine.journal.flush()
    async with engine.database.reading() as work:
        row = await work.traces.get(query.request_id)
    if row is None or not (caller.is_operator or row.api_key_id == caller.key_id):
        raise NotFound(f"No request '{query.request_id}' is recorded. It may be too old.")
    trace = msgspec.json.decode(row.data, type=RouteTrace)
    if trace.plan is None:
        raise NotFound(
            f"Request '{query.request_id}' was refused before it was planned: {trace.error}"
        )
    snapshot, against = engine.snapshot, str(query.against)
    if query.proposal is not None:
        snapshot, against = proposed(engine, query.proposal), "proposal"
    made, notes = again(snapshot, trace.plan, against)
    return _compared(snapshot, trace, trace.plan, made, notes, against)


def again(snapshot: Snapshot, old: Plan, against: str) -> tuple[Plan | None, tuple[str, ...]]:
    """The plan made again, and what there is to say about it; None when it is refused now."""
    if against == "trace":
        return from_survey(old.survey, old.seed, old.snapshot_version), ()
    world = RecordedWorld(old.survey)
    try:
        seen = survey(old.survey.facts, snapshot, world)
    except OmniRouteError as error:
        return None, (f"refused now: {error}",)
    unseen = tuple(
        f"{name} was not looked at then: taken as healthy" for name in sorted(world.unseen)
    )
    return from_survey(seen, old.seed, snapshot.version), unseen


def _compared(
    snapshot: Snapshot,
    trace: RouteTrace,
    old: Plan,
    made: Plan | None,
    notes: tuple[str, ...],
    against: str,
) -> Replay:
    now = made.candidates if made is not None else ()
    excluded_now = _excluded(made) if made is not None else ()
    usage = Usage(input_tokens=trace.input_tokens, output_tokens=trace.output_tokens)
    recorded = _targets(snapshot, old.candidates, usage)
    replayed = _targets(snapshot, now, usage)
    differences = tuple(
        Difference(place, _name(before), _name(after))
        for place, (before, after) in enumerate(zip_longest(old.candidates, now), start=1)
        if _name(before) != _name(after)
    )
    same = now == old.candidates and made is not None and made.excluded == old.excluded
    found = Replay(
        request_id=trace.request_id,
        against=against,
        identical=same,
        differences=differences,
        excluded_before=_excluded(old),
        excluded_now=excluded_now,
        recorded=recorded,
        replayed=replayed,
        cost_recorded=_usd(trace.cost_micro_usd),
        cost_replayed=replayed[0].cost if replayed else None,
        seed=old.seed,
        snapshot_version=made.snapshot_version if made is not None else old.snapshot_version,
        notes=notes,
        text="",
    )
    return msgspec.structs.replace(found, text=told(found))


_AGAINST = {
    "trace": "its own trace",
    "current": "the current configuration",
    "proposal": "the proposed configuration",
}


def told(replay: Replay) -> str:
    """A replay as sentences, one a line."""
    what = _AGAINST[replay.against]
    lines = [f"Request {replay.request_id}, planned again from {what} with seed {replay.seed}."]
    if replay.identical:
        lines.append("The plan is the same, bit for bit.")
    elif not replay.differences:
        lines.append("The order is the same; reasons, scores or exclusions differ.")
    lines += [
        f"Place {row.place}: {row.recorded or 'nothing'} -> {row.replayed or 'nothing'}"
        for row in replay.differences
    ]
    if replay.excluded_before != replay.excluded_now:
        lines.append(f"Left out then: {', '.join(replay.excluded_before) or 'nothing'}.")
        lines.append(f"Left out now: {', '.join(replay.excluded_now) or 'nothing'}.")
    lines += [f"Note: {note}." for note in replay.notes]
    lines.append(f"Cost then {_money(replay.cost_recorded)}, now {_money(replay.cost_replayed)}.")
    return "\n".join(lines)


def _targets(
    snapshot: Snapshot, rows: Sequence[Candidate], usage: Usage
) -> tuple[PlannedTarget, ...]:
    return tuple(
        PlannedTarget(
            provider=row.provider,
            model=row.model,
            connection=row.connection,
            reasons=row.reasons,
            score=row.score,
            cost=_cost(snapshot, row, usage),
        )
        for row in rows
    )


def _cost(snapshot: Snapshot, row: Candidate, usage: Usage) -> float | None:
    if row.provider not in snapshot.providers:
        return None
    price = snapshot.price(row.provider, row.model)
    return None if price is None else _usd(price.cost_micro_usd(usage))


def _name(row: Candidate | None) -> str | None:
    return None if row is None else f"{row.provider}/{row.model}@{row.connection}"


def _excluded(made: Plan) -> tuple[str, ...]:
    return tuple(
        f"{row.provider}/{row.model}@{row.connection}: {row.reason}" for row in made.excluded
    )


def _usd(micro_usd: int | None) -> float | None:
    return None if micro_usd is None else round(micro_usd / 1e6, 6)


def _money(usd: float | None) -> str:
    return "unknown" if usd is None else f"${usd:.6f}"
