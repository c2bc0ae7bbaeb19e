"""Why requests go where they go: the plan before, and the stored trace after."""

import msgspec
from msgspec import Struct

from omniroute.caller import Caller
from omniroute.catalog.prices import Price
from omniroute.chat import ChatRequest, Usage
from omniroute.engine import Engine
from omniroute.errors import InvalidRequest, NotFound
from omniroute.pipeline.estimate import DEFAULT_OUTPUT_TOKENS, price_for
from omniroute.pipeline.exchange import ChatCall
from omniroute.routing.plan import Plan, refusal
from omniroute.routing.trace import RouteTrace

MAX_PROMPT_TOKENS = 1_000_000_000


class SimulateQuery(Struct, frozen=True, rename="camel"):
    """What to plan.

    Attributes:
        model: model, combo or `auto`.
        prompt_token_estimate: how many tokens the prompt has.
        combo: a combo, by name or id, to plan instead of `model`.
    """

    model: str
    prompt_token_estimate: float
    combo: str | None = None


class SimulatedStep(Struct, frozen=True, rename="camel"):
    """One candidate of the plan. `estimated_cost` is USD for the prompt, None when unpriced."""

    provider: str
    model: str
    connection: str
    probability: float
    estimated_cost: float | None
    health_status: str
    quota_available: float
    reasons: tuple[str, ...]


class FallbackTree(Struct, frozen=True, rename="camel"):
    """What comes after what. Costs are USD bounds: prompt only, and prompt plus longest answer."""

    primary: str
    fallbacks: tuple[str, ...]
    worst_case_cost: float | None
    best_case_cost: float | None


class ExcludedTarget(Struct, frozen=True, rename="camel"):
    """A candidate the plan leaves out, and why. `until` is epoch milliseconds."""

    provider: str
    model: str
    connection: str | None
    reason: str
    until: int | None


class Simulation(Struct, frozen=True, rename="camel"):
    """The planner's own plan for a request, nothing sent."""

    simulated_path: tuple[SimulatedStep, ...]
    fallback_tree: FallbackTree
    excluded: tuple[ExcludedTarget, ...]
    combo: str | None
    strategy: str
    snapshot_version: int
    notes: tuple[str, ...]


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
    """One recorded factor of a score."""

    name: str
    value: float
    weight: float
    contribution: float


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


async def simulate_route(engine: Engine, caller: Caller, query: SimulateQuery) -> Simulation:
    """The plan a request would get right now.

    Raises:
        InvalidRequest: the model is unknown, or has no account.
        TargetsUnavailable: nothing could be tried; says why.
        NotFound: there is no such combo.
    """
    model = query.model
    if query.combo is not None:
        model = _combo_name(engine, query.combo)
    if not 0 <= query.prompt_token_estimate <= MAX_PROMPT_TOKENS:
        raise InvalidRequest(
            f"'promptTokenEstimate' must be 0 to {MAX_PROMPT_TOKENS}.", param="promptTokenEstimate"
        )
    call = ChatCall(
        request_id="simulation", caller=caller, request=ChatRequest(model=model, messages=())
    )
    snapshot, made = engine.chat.plan(call)
    if not made.candidates:
        raise refusal(made, snapshot)
    prompt = int(query.prompt_token_estimate)
    return _simulation(engine, made, prompt)


def _combo_name(engine: Engine, combo: str) -> str:
    for stored in engine.snapshot.combos.values():
        if combo in (stored.name, stored.id):
            return stored.name
    raise NotFound(f"There is no combo '{combo}'.", param="combo")


def _simulation(engine: Engine, made: Plan, prompt_tokens: int) -> Simulation:
    providers = engine.snapshot.providers
    view = engine.health.view()
    least = Usage(input_tokens=prompt_tokens)
    most = Usage(input_tokens=prompt_tokens, output_tokens=DEFAULT_OUTPUT_TOKENS)
    prices = [price_for(providers[row.provider], row.model) for row in made.candidates]
    names = [f"{row.provider}/{row.model}" for row in made.candidates]
    known = [price for price in prices if price is not None]
    steps = tuple(
        SimulatedStep(
            provider=row.provider,
            model=row.model,
            connection=row.connection,
            # The order is certain: everything after the first is only reached by its failure.
            probability=1.0 if place == 0 else 0.0,
            estimated_cost=_usd(price, least),
            health_status=view.breaker(row.provider),
            quota_available=100.0,
            reasons=row.reasons,
        )
        for place, (row, price) in enumerate(zip(made.candidates, prices, strict=True))
    )
    tree = FallbackTree(
        primary=names[0],
        fallbacks=tuple(names[1:]),
        worst_case_cost=max((_usd_of(price, most) for price in known), default=None),
        best_case_cost=min((_usd_of(price, least) for price in known), default=None),
    )
    return Simulation(
        simulated_path=steps,
        fallback_tree=tree,
        excluded=tuple(
            ExcludedTarget(row.provider, row.model, row.connection, row.reason, row.until_ms)
            for row in made.excluded
        ),
        combo=made.combo,
        strategy=made.strategy,
        snapshot_version=made.snapshot_version,
        notes=made.notes,
    )


def _usd(price: Price | None, usage: Usage) -> float | None:
    return None if price is None else _usd_of(price, usage)


def _usd_of(price: Price, usage: Usage) -> float:
    return round(price.cost_micro_usd(usage) / 1e6, 6)


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
    decision = Decision(
        combo_used=(trace.plan.combo if trace.plan else None) or "none",
        provider_selected=trace.provider or "none",
        model_used=trace.model or "none",
        score=0,
        factors=(),
        fallbacks_triggered=tuple(
            Fallback(attempt.provider, attempt.verdict)
            for attempt in trace.attempts
            if attempt.verdict is not None
        ),
        cost_actual=(trace.cost_micro_usd or 0) / 1e6,
        latency_actual=trace.duration_ms,
    )
    return Explanation(query.request_id, decision, text=told(trace), trace=trace)


def told(trace: RouteTrace) -> str:
    """A trace as sentences, one a line."""
    lines = [f"{trace.requested_model} was asked for through {trace.door}."]
    if trace.plan is not None:
        way = f"combo {trace.plan.combo}" if trace.plan.combo else "one model"
        lines.append(
            f"Planned by {trace.plan.strategy} over {way}: "
            f"{len(trace.plan.candidates)} candidates, {len(trace.plan.excluded)} left out."
        )
        lines += [f"Left out: {row.provider} ({row.reason})." for row in trace.plan.excluded]
        lines += [f"Note: {note}." for note in trace.plan.notes]
    if trace.waited_ms:
        lines.append(f"Waited {trace.waited_ms} ms for an account's pause to end.")
    for attempt in trace.attempts:
        name = f"{attempt.provider}/{attempt.model} on '{attempt.connection_name}'"
        lines.append(f"Attempt {attempt.number}: {name}, because: {'; '.join(attempt.reasons)}.")
        if attempt.verdict is None:
            lines.append(f"It answered ({attempt.duration_ms} ms).")
        else:
            lines.append(
                f"It failed with {attempt.status} ({attempt.verdict}: {attempt.error}); "
                f"then: {attempt.action}."
            )
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
