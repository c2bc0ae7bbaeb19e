"""Everything one undertaking caused, as a tree: tasks, tool calls, model calls, skills.

Nobody has to help: doors put each caller into a run (a name it gives, its trace context, its A2A
context, its MCP session), and whatever it causes happens below the step it acts in.
"""

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta, Struct
from msgspec.structs import replace

from omniroute.caller import Caller
from omniroute.clock import iso
from omniroute.engine import Engine
from omniroute.errors import NotFound
from omniroute.operations.money.budgets import BudgetSummary, budget_summary
from omniroute.storage.records.runs import RunStep, StepKind, StepStatus

MOST_STEPS = 1_000
"""How many steps a tree shows; the first ones of longer runs."""


class RunQuery(Struct, frozen=True, rename="camel"):
    """Which run.

    Attributes:
        run_id: the name a client gave, the trace id of its trace context, the id of the A2A context
            or of the MCP session.
    """

    run_id: Annotated[str, Meta(min_length=1, max_length=200)]


class StepView(Struct, frozen=True, kw_only=True, rename="camel"):
    """One step and what it caused. Money is USD: its own, and of everything below it as well.

    `duration_ms` and `cost_usd` are null where they are not known (yet).
    """

    id: str
    kind: StepKind
    name: str
    door: str
    status: StepStatus
    verdict: str
    request_id: str | None
    started_at: str
    duration_ms: int | None
    input_tokens: int
    output_tokens: int
    cost_usd: float | None
    total_cost_usd: float
    children: tuple["StepView", ...] = ()


class RunTree(Struct, frozen=True, kw_only=True, rename="camel"):
    """A run as a whole. `truncated`: it has more steps than are shown. `budget` is the one that
    is bound to it, null without one."""

    run_id: str
    status: StepStatus
    started_at: str
    ended_at: str | None
    steps: int
    model_calls: int
    tool_calls: int
    tasks: int
    input_tokens: int
    output_tokens: int
    cost_usd: float
    truncated: bool
    budget: BudgetSummary | None
    tree: tuple[StepView, ...]


class RunSummary(Struct, frozen=True, kw_only=True, rename="camel"):
    """One run in the list."""

    run_id: str
    steps: int
    cost_usd: float
    started_at: str
    last_step_at: str


class RunList(Struct, frozen=True):
    """Runs, the latest first."""

    runs: tuple[RunSummary, ...]


def in_step(
    engine: Engine, caller: Caller, kind: StepKind, name: str, step_id: str | None = None
) -> tuple[Caller, RunStep]:
    """The caller within a step that begins now, and the step. One in no run begins one."""
    made = step_id or engine.new_id()
    run_id = caller.run_id or made
    step = RunStep(
        id=made,
        run_id=run_id,
        parent_id=caller.step_id,
        kind=kind,
        name=name[:200],
        door=caller.door,
        owner=caller.owner,
        status="running",
        started_at_ms=engine.now_ms(),
    )
    return replace(caller, run_id=run_id, step_id=made), step


async def run_tree(engine: Engine, caller: Caller, query: RunQuery) -> RunTree:
    """Everything a run caused so far. Operators see all of it, others what their own key did.

    Raises:
        NotFound: no step of it is recorded, or none the caller may see.
    """
    await engine.journal.flush()
    owner = None if caller.is_operator else caller.owner
    async with engine.database.reading() as work:
        found = await work.runs.steps(query.run_id, owner, MOST_STEPS + 1)
    if not found:
        raise NotFound(
            f"There is no run '{query.run_id[:200]}'. It may be too old, or another key's; "
            "the list of runs has the latest."
        )
    steps = found[:MOST_STEPS]
    roots = _below(None, steps)
    ends = [step.ended_at_ms for step in steps]
    budget = None
    if ("run", query.run_id) in engine.snapshot.budgets:
        budget = await budget_summary(engine, caller, "run", query.run_id)
    return RunTree(
        run_id=query.run_id,
        status=_status(steps),
        started_at=iso(steps[0].started_at_ms),
        ended_at=None if None in ends else iso(max(end or 0 for end in ends)),
        steps=len(steps),
        model_calls=sum(step.kind == "model" for step in steps),
        tool_calls=sum(step.kind in ("tool", "skill") for step in steps),
        tasks=sum(step.kind == "task" for step in steps),
        input_tokens=sum(step.input_tokens for step in steps),
        output_tokens=sum(step.output_tokens for step in steps),
        cost_usd=sum(step.cost_micro_usd or 0 for step in steps) / 1e6,
        truncated=len(found) > MOST_STEPS,
        budget=budget,
        tree=roots,
    )


async def list_runs(engine: Engine, caller: Caller, limit: int, offset: int) -> RunList:
    """The latest runs: all for operators, those a key took part in for others."""
    await engine.journal.flush()
    owner = None if caller.is_operator else caller.owner
    async with engine.database.reading() as work:
        found = await work.runs.recent(owner, limit, offset)
    return RunList(
        tuple(
            RunSummary(
                run_id=line.run_id,
                steps=line.steps,
                cost_usd=line.cost_micro_usd / 1e6,
                started_at=iso(line.started_at_ms),
                last_step_at=iso(line.last_at_ms),
            )
            for line in found
        )
    )


def _status(steps: Sequence[RunStep]) -> StepStatus:
    """Running while anything does; else how what came from outside last ended."""
    if any(step.status == "running" for step in steps):
        return "running"
    known = {step.id for step in steps}
    return [step for step in steps if step.parent_id not in known][-1].status


def _below(parent: str | None, steps: Sequence[RunStep]) -> tuple[StepView, ...]:
    """The steps made in a step; those whose maker is not recorded stand at the root."""
    known = {step.id for step in steps}
    by_parent: dict[str | None, list[RunStep]] = {}
    for step in steps:
        maker = step.parent_id if step.parent_id in known and step.parent_id != step.id else None
        by_parent.setdefault(maker, []).append(step)

    def views(maker: str | None) -> tuple[StepView, ...]:
        return tuple(_view(step, views(step.id)) for step in by_parent.get(maker, ()))

    return views(parent)


def _view(step: RunStep, children: tuple[StepView, ...]) -> StepView:
    own = step.cost_micro_usd
    return StepView(
        id=step.id,
        kind=step.kind,
        name=step.name,
        door=step.door,
        status=step.status,
        verdict=step.verdict,
        request_id=step.request_id,
        started_at=iso(step.started_at_ms),
        duration_ms=None if step.ended_at_ms is None else step.ended_at_ms - step.started_at_ms,
        input_tokens=step.input_tokens,
        output_tokens=step.output_tokens,
        cost_usd=None if own is None else own / 1e6,
        total_cost_usd=round((own or 0) / 1e6 + sum(one.total_cost_usd for one in children), 6),
        children=children,
    )
