"""Why a request went where it went: the stored decision as text and as data."""

import msgspec
from msgspec import Struct

from omniroute.caller import Caller
from omniroute.engine import Engine
from omniroute.routing.targets import Candidate
from omniroute.routing.trace import AttemptTrace, RouteTrace


class ExplainQuery(Struct, frozen=True, rename="camel"):
    """Which request.

    Attributes:
        request_id: the id from the `X-Request-Id` header or the tool result.
    """

    request_id: str


class Fallback(Struct, frozen=True, rename="camel"):
    """An attempt that failed."""

    provider: str
    reason: str


class Factor(Struct, frozen=True, rename="camel"):
    """One recorded factor of a score. Where it was not `measured`, `value` is what stood in for
    it: the mean of the other candidates."""

    name: str
    value: float
    weight: float
    contribution: float
    measured: bool


class Decision(Struct, frozen=True, rename="camel"):
    """How one request was answered. Cost is USD, latency milliseconds."""

    combo_used: str
    provider_selected: str
    model_used: str
    score: float
    factors: tuple[Factor, ...]
    fallbacks_triggered: tuple[Fallback, ...]
    cost_actual: float
    latency_actual: int


class Explanation(Struct, frozen=True, rename="camel", omit_defaults=True):
    """The stored decision: as text for people, as the whole trace for programs."""

    request_id: str
    decision: Decision
    text: str = ""
    note: str | None = None
    trace: RouteTrace | None = None


async def explain_route(engine: Engine, caller: Caller, query: ExplainQuery) -> Explanation:
    """Why a past request went where it went. Operators see all requests, others their own.

    An unknown id is an answer with a note, not an error.
    """
    await engine.journal.flush()
    async with engine.database.reading() as work:
        row = await work.traces.get(query.request_id)
    visible = row is not None and (caller.is_operator or row.api_key_id == caller.key_id)
    if row is None or not visible:
        nothing = Decision("unknown", "unknown", "unknown", 0, (), (), 0, 0)
        note = "No request with this id is recorded. It may be too old, or another key's."
        return Explanation(query.request_id, nothing, note=note)
    trace = msgspec.json.decode(row.data, type=RouteTrace)
    chosen = _chosen(trace)
    decision = Decision(
        combo_used=(trace.plan.combo if trace.plan else None) or "none",
        provider_selected=trace.provider or "none",
        model_used=trace.model or "none",
        score=(chosen.score or 0) if chosen is not None else 0,
        factors=_factors(chosen),
        fallbacks_triggered=tuple(
            Fallback(attempt.provider, attempt.verdict)
            for attempt in trace.attempts
            if attempt.verdict is not None
        ),
        cost_actual=(trace.cost_micro_usd or 0) / 1e6,
        latency_actual=trace.duration_ms,
    )
    return Explanation(query.request_id, decision, text=told(trace), trace=trace)


def _chosen(trace: RouteTrace) -> Candidate | None:
    """The candidate that answered, or would have been asked first."""
    if trace.plan is None or not trace.plan.candidates:
        return None
    served = trace.attempts[-1] if trace.attempts else None
    for row in trace.plan.candidates:
        if served is not None and row.place == (served.provider, served.connection, served.model):
            return row
    return trace.plan.candidates[0]


def _factors(chosen: Candidate | None) -> tuple[Factor, ...]:
    """The factors that counted in a score, each with what it contributed to it."""
    rows = chosen.factors if chosen is not None else ()
    counted = [(row, row.counted) for row in rows if row.counted is not None]
    weight = sum(row.weight for row, _ in counted)
    return tuple(
        Factor(
            name=row.name,
            value=value,
            weight=row.weight,
            contribution=round(value * row.weight / weight, 6) if weight else 0,
            measured=row.value is not None,
        )
        for row, value in counted
    )


def _spent(attempt: AttemptTrace) -> str:
    """What an attempt used, at which price."""
    usage, price = attempt.usage, attempt.price
    if usage is None:
        return ""
    rates = "no price is known"
    if price is not None:
        rates = f"${price['input']:g} and ${price['output']:g} per million"
    if usage.reported_micro_usd is not None:
        rates = "the provider's own bill"
    tokens = f"{usage.total_input_tokens} tokens in, {usage.total_output_tokens} out"
    estimated = ", estimated" if usage.estimated else ""
    return f", {tokens}{estimated} ({rates})"


_SOURCES = {
    "cache": "Answered with a kept answer: nobody was asked.",
    "shared": "Answered together with the same request, which was under way.",
    "idempotency": "Answered with the answer of an earlier request with the same Idempotency-Key.",
}


def told(trace: RouteTrace) -> str:
    """A trace as sentences, one a line."""
    lines = [f"{trace.requested_model} was asked for through {trace.door}."]
    places = {"session": trace.session_id, "run": trace.run_id, "task": trace.task_id}
    named = [f"{kind} {name}" for kind, name in places.items() if name is not None]
    if named:
        lines.append(f"It belongs to {', '.join(named)}.")
    if trace.plan is not None:
        way = f"combo {trace.plan.combo}" if trace.plan.combo else "one model"
        lines.append(
            f"Planned by {trace.plan.strategy} over {way}: "
            f"{len(trace.plan.candidates)} candidates, {len(trace.plan.excluded)} left out."
        )
        lines += [
            f"Left out: {row.provider}/{row.model} ({row.reason.replace('_', ' ')})."
            for row in trace.plan.excluded
        ]
        chosen = _chosen(trace)
        if chosen is not None and chosen.factors:
            known = ", ".join(
                f"{row.name} {'unknown' if row.value is None else f'{row.value:.2f}'}"
                for row in chosen.factors
            )
            lines.append(
                f"Score of {chosen.provider}/{chosen.model}: {chosen.score:.3f} ({known})."
            )
        lines += [f"Note: {note}." for note in trace.plan.notes]
    if trace.source != "upstream":
        lines.append(_SOURCES[trace.source])
    lines += [f"Changed before it was sent: {change.text}." for change in trace.changes]
    if trace.waited_ms:
        lines.append(f"Waited {trace.waited_ms} ms between attempts or for a pause to end.")
    for attempt in trace.attempts:
        name = f"{attempt.provider}/{attempt.model} on '{attempt.connection_name}'"
        name += "" if attempt.key is None else f" with key {attempt.key}"
        name += "" if attempt.proxy is None else f" through {attempt.proxy}"
        lines.append(f"Attempt {attempt.number}: {name}, because: {'; '.join(attempt.reasons)}.")
        if attempt.verdict is None:
            lines.append(f"It answered ({attempt.duration_ms} ms){_spent(attempt)}.")
        else:
            lines.append(
                f"It failed with {attempt.status} ({attempt.verdict}: {attempt.error}); "
                f"then: {attempt.action}."
            )
        if attempt.continues_at is not None:
            lines.append(f"It went on after {attempt.continues_at} characters of the answer.")
        if attempt.left_behind:
            lines.append(f"It was not sent: {', '.join(attempt.left_behind)}.")
    cost = "unknown" if trace.cost_micro_usd is None else f"${trace.cost_micro_usd / 1e6:.6f}"
    lines.append(
        f"Outcome: {trace.outcome} after {trace.duration_ms} ms, "
        f"{trace.input_tokens} tokens in, {trace.output_tokens} out, cost {cost}."
    )
    if trace.error:
        lines.append(f"Told the caller: {trace.error}")
    return "\n".join(lines)
