"""The dry run: the planner's own plan for a request, with what it would cost. Nothing is sent."""

from msgspec import Struct

from omniroute.caller import Caller
from omniroute.catalog.prices import Price
from omniroute.chat import ChatRequest, Usage
from omniroute.engine import Engine
from omniroute.errors import InvalidRequest
from omniroute.operations.combos.combo_named import combo_named
from omniroute.pipeline.exchange import ChatCall
from omniroute.pipeline.money.estimate import DEFAULT_OUTPUT_TOKENS
from omniroute.routing.plan import Plan
from omniroute.routing.refusals import refusal
from omniroute.routing.survey import leaves
from omniroute.routing.targets import Asked, BreakerState, Candidate

MAX_PROMPT_TOKENS = 1_000_000_000


class SimulateQuery(Struct, frozen=True, rename="camel"):
    """What to plan.

    Attributes:
        model: model, combo or `auto`.
        prompt_token_estimate: how many tokens the prompt has.
        combo: a combo, by name or id, to plan instead of `model`.
        seed: what draws are made from; the one of an earlier plan repeats its draws.
    """

    model: str
    prompt_token_estimate: float
    combo: str | None = None
    seed: int | None = None


class SimulatedStep(Struct, frozen=True, rename="camel"):
    """One candidate of the plan.

    `probability` is that of being asked, from measured success rates; `estimated_cost` is USD for
    the prompt, None when unpriced; `quota_available` is percent, 100 when unknown.
    """

    provider: str
    model: str
    connection: str
    probability: float
    estimated_cost: float | None
    health_status: BreakerState
    quota_available: float
    reasons: tuple[str, ...]
    score: float | None = None


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


class StandbyStep(Struct, frozen=True, rename="camel"):
    """Who is asked only after everything else has failed as `when` says."""

    provider: str
    model: str
    connection: str
    when: str


class Simulation(Struct, frozen=True, rename="camel"):
    """The planner's own plan for a request, nothing sent."""

    simulated_path: tuple[SimulatedStep, ...]
    fallback_tree: FallbackTree
    excluded: tuple[ExcludedTarget, ...]
    combo: str | None
    strategy: str
    standby: tuple[StandbyStep, ...]
    snapshot_version: int
    seed: int
    notes: tuple[str, ...]


async def simulate_route(engine: Engine, caller: Caller, query: SimulateQuery) -> Simulation:
    """The plan a request would get right now.

    Raises:
        InvalidRequest: the model is unknown, or has no account.
        TargetsUnavailable: nothing could be tried; says why.
        NotFound: there is no such combo.
    """
    model = query.model
    if query.combo is not None:
        model = combo_named(engine.snapshot, query.combo, "combo").name
    if not 0 <= query.prompt_token_estimate <= MAX_PROMPT_TOKENS:
        raise InvalidRequest(
            f"'promptTokenEstimate' must be 0 to {MAX_PROMPT_TOKENS}.", param="promptTokenEstimate"
        )
    call = ChatCall(
        request_id="simulation", caller=caller, request=ChatRequest(model=model, messages=())
    )
    prompt = int(query.prompt_token_estimate)
    snapshot, made = engine.chat.plan(call, Asked(input_tokens=prompt), query.seed)
    if not made.candidates:
        raise refusal(made, snapshot)
    return _simulation(engine, made, prompt)


def _simulation(engine: Engine, made: Plan, prompt_tokens: int) -> Simulation:
    view = engine.health.view()
    least = Usage(input_tokens=prompt_tokens)
    most = Usage(input_tokens=prompt_tokens, output_tokens=DEFAULT_OUTPUT_TOKENS)
    prices = [engine.snapshot.price(row.provider, row.model) for row in made.candidates]
    names = [f"{row.provider}/{row.model}" for row in made.candidates]
    known = [price for price in prices if price is not None]
    steps = tuple(
        SimulatedStep(
            provider=row.provider,
            model=row.model,
            connection=row.connection,
            probability=probability,
            estimated_cost=_usd(price, least),
            health_status=view.breaker(row.provider),
            quota_available=_quota_percent(made, row),
            reasons=row.reasons,
            score=row.score,
        )
        for row, price, probability in zip(
            made.candidates, prices, _probabilities(engine, made), strict=True
        )
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
        standby=tuple(
            StandbyStep(row.provider, row.model, row.connection, row.when or "")
            for row in made.standby
        ),
        snapshot_version=made.snapshot_version,
        seed=made.seed,
        notes=made.notes,
    )


def _probabilities(engine: Engine, made: Plan) -> list[float]:
    """How likely each candidate is to be asked: as likely as all before it are to fail.

    What nobody measured is taken to answer.
    """
    found: list[float] = []
    reached = 1.0
    for row in made.candidates:
        found.append(round(reached, 4))
        seen = engine.live.measured.performance(row.provider, row.model)
        reached *= 0.0 if seen is None else 1 - seen.success_rate
    return found


def _quota_percent(made: Plan, row: Candidate) -> float:
    for leaf in leaves(made.survey.root):
        for account in leaf.accounts:
            if account.id == row.connection and account.quota is not None:
                used = account.quota.used
                return 100.0 if used is None else round(100 * (1 - used), 1)
    return 100.0


def _usd(price: Price | None, usage: Usage) -> float | None:
    return None if price is None else _usd_of(price, usage)


def _usd_of(price: Price, usage: Usage) -> float:
    return round(price.cost_micro_usd(usage) / 1e6, 6)
