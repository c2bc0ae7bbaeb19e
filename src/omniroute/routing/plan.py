"""The planner: a pure function from a request and the state of the world to an ordered plan.

It has two halves. The survey reads the snapshot and the world and keeps all it saw; the order is
made from that survey and a seed alone. Simulate, explain, replay and the real run all use these.
"""

import random
from collections.abc import Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from omniroute.chat import ChatRequest
from omniroute.routing.choices import Choice, Placed, RoutingView
from omniroute.routing.snapshot import Snapshot
from omniroute.routing.strategies import STRATEGIES
from omniroute.routing.survey import leaves, per_account, survey
from omniroute.routing.targets import (
    Branch,
    Candidate,
    Exclusion,
    Leaf,
    Node,
    Place,
    RouteFacts,
    Standby,
    Survey,
)
from omniroute.routing.turns.accounts import ACCOUNT_STRATEGIES, AccountView
from omniroute.routing.world import World


class Plan(Struct, frozen=True, kw_only=True):
    """What will be tried, in order, and what will not; `standby` only after certain failures.

    `combo` is None where one model was asked for; `survey` is what the plan was made from.
    """

    requested_model: str
    combo: str | None
    strategy: str
    snapshot_version: int
    seed: int
    planned_at_ms: int
    candidates: tuple[Candidate, ...]
    excluded: tuple[Exclusion, ...]
    survey: Survey
    notes: tuple[str, ...] = ()
    standby: tuple[Candidate, ...] = ()


def plan(
    facts: RouteFacts,
    snapshot: Snapshot,
    world: World,
    seed: int,
    request: ChatRequest | None = None,
) -> Plan:
    """Order everything that could answer.

    Args:
        request: the request itself, read only where a strategy asks what it is about.

    Raises:
        InvalidRequest: the model name is malformed, unknown, ambiguous or has no account.
        Forbidden: the caller's key may not use this model.
    """
    return from_survey(survey(facts, snapshot, world, request), seed, snapshot.version)


def from_survey(seen: Survey, seed: int, snapshot_version: int) -> Plan:
    """The plan a survey and a seed give, now and whenever it is made again."""
    candidates, excluded = ordered(seen, seed)
    standby = tuple(row for one in seen.standby for row in _standing_by(one))
    if not candidates:
        candidates = tuple(row for row in standby if _steps_in(row, excluded))
    root = seen.root
    return Plan(
        requested_model=seen.facts.model,
        combo=root.combo if isinstance(root, Branch) else None,
        strategy=root.strategy if isinstance(root, Branch) else "priority",
        snapshot_version=snapshot_version,
        seed=seed,
        planned_at_ms=seen.now_ms,
        candidates=candidates,
        excluded=excluded,
        survey=seen,
        notes=(*seen.notes, *_remarks(seen)),
        standby=standby,
    )


def _remarks(seen: Survey) -> tuple[str, ...]:
    """What is to be said about the accounts that may be tried, each once."""
    accounts = {row.id: row for leaf in leaves(seen.root) for row in leaf.accounts}
    return tuple(f"account '{row.id}': {row.remark}" for row in accounts.values() if row.remark)


def counted_on(made: Plan) -> tuple[str, ...]:
    """The accounts a plan looked at the quotas of, to put them in order."""
    root = made.survey.root
    read = made.survey.account_strategy == "p2c" or any(
        "quota" in STRATEGIES[name].reads for name in _strategies(root)
    )
    return tuple(row.id for leaf in leaves(root) for row in leaf.accounts) if read else ()


def _strategies(node: Node) -> Iterator[str]:
    if isinstance(node, Branch):
        yield node.strategy
        for child in node.children:
            yield from _strategies(child)


_WHEN = {
    "combo_unavailable": "stands by for when every target of the combo is down",
    "out_of_money": "stands by for when an account has nothing left to spend",
}
_SPENT = frozenset({"account_credits_exhausted"})


def _standing_by(row: Standby) -> Iterator[Candidate]:
    leaf = row.leaf
    for account in leaf.accounts:
        if account.blocked is not None:
            continue
        yield Candidate(
            provider=leaf.provider,
            model=leaf.model,
            connection=account.id,
            reasons=(_WHEN[row.when],),
            when=row.when,
            max_output_tokens=row.max_output_tokens,
        )


def _steps_in(row: Candidate, excluded: Sequence[Exclusion]) -> bool:
    """Whether what stands by is asked at once, because nothing else can be."""
    reasons = {one.reason for one in excluded}
    if row.when == "combo_unavailable":
        return "over_budget_cap" not in reasons
    return row.when == "out_of_money" and bool(reasons) and reasons <= _SPENT


def ordered(seen: Survey, seed: int) -> tuple[tuple[Candidate, ...], tuple[Exclusion, ...]]:
    """Candidates in the order they are tried, and what is left out."""
    excluded = list(seen.excluded)
    arranging = _Arranging(seen, random.Random(seed), excluded)  # noqa: S311 - recorded on purpose
    placed = arranging.placed(seen.root)
    strategy = seen.root.strategy if isinstance(seen.root, Branch) else "priority"
    found: dict[Place, Candidate] = {}
    for place, row in enumerate(placed):
        for candidate in _candidates(row, place, strategy, seen):
            found.setdefault(candidate.place, candidate)
    return tuple(_kept_to(seen.root, list(found.values()))), tuple(excluded)


def _kept_to(root: Node, candidates: list[Candidate]) -> list[Candidate]:
    """The model a conversation keeps comes first, whatever the strategy says."""
    pinned = root.pinned if isinstance(root, Branch) else None
    if pinned is None:
        return candidates
    why = "this conversation's model"
    kept = [row for row in candidates if (row.provider, row.model) == pinned]
    rest = [row for row in candidates if (row.provider, row.model) != pinned]
    return [*(replace(row, reasons=(*row.reasons, why)) for row in kept), *rest]


class _Arranging:
    """One walk over a survey's tree, leaves first."""

    def __init__(self, seen: Survey, rng: random.Random, excluded: list[Exclusion]) -> None:
        self._seen = seen
        self._rng = rng
        self._excluded = excluded

    def placed(self, node: Node) -> list[Placed]:
        """What of a node can be tried, in order; the rest is put down as left out."""
        if isinstance(node, Leaf):
            return self._leaf(node)
        row = STRATEGIES[node.strategy]
        children = per_account(node.children) if row.per_account else node.children
        choices = [
            Choice(node=child, placed=tuple(placed))
            for child in children
            if (placed := self._within_cap(node, self.placed(child)))
        ]
        if not choices:
            return []
        view = RoutingView(self._rng, node, self._seen.facts.asked, self._seen.now_ms)
        turns = (node.counter,) if node.counter is not None else ()
        return [
            replace(
                placed,
                why=(*choice.why, *placed.why) if at == 0 else placed.why,
                score=choice.score if placed.score is None else placed.score,
                factors=choice.factors or placed.factors,
                turns=(*turns, *placed.turns),
            )
            for choice in row.order(choices, view)
            for at, placed in enumerate(choice.placed)
        ]

    def _leaf(self, leaf: Leaf) -> list[Placed]:
        for row in leaf.accounts:
            if row.blocked is not None:
                self._leave_out(leaf, row.id, row.blocked, row.until_ms)
        free = [row for row in leaf.accounts if row.blocked is None]
        if not free:
            return []
        seen = self._seen
        view = AccountView(
            rng=self._rng,
            now_ms=seen.now_ms,
            sticky=seen.sticky,
            disturbed=len(free) < len(leaf.accounts),
            provider=leaf.provider,
            turn=leaf.account_turn,
        )
        accounts = ACCOUNT_STRATEGIES[seen.account_strategy](free, view) if free[1:] else free
        bound = seen.bound.get(leaf.provider)
        accounts = sorted(accounts, key=lambda row: row.id != bound) if bound else accounts
        return [Placed(leaf=leaf, accounts=tuple(accounts))]

    def _within_cap(self, branch: Branch, placed: list[Placed]) -> list[Placed]:
        """Without what a hard budget cap forbids."""
        cap = branch.tuning.budget_cap_micro_usd
        if cap is None or not branch.tuning.cap_is_hard:
            return placed
        kept = []
        for row in placed:
            cost = row.leaf.cost_micro_usd
            if cost is None or cost <= cap:
                kept.append(row)
                continue
            for account in row.accounts:
                self._leave_out(row.leaf, account.id, "over_budget_cap", None)
        return kept

    def _leave_out(self, leaf: Leaf, account: str, reason: str, until_ms: int | None) -> None:
        self._excluded.append(
            Exclusion(
                provider=leaf.provider,
                model=leaf.model,
                connection=account,
                reason=reason,
                until_ms=until_ms,
            )
        )


def _candidates(row: Placed, place: int, strategy: str, seen: Survey) -> Iterator[Candidate]:
    leaf = row.leaf
    bound = seen.bound.get(leaf.provider)
    how = seen.account_strategy
    turns = row.turns
    if how == "strict-random":
        turns = (*turns, account_counter(leaf.provider))
    for rank, account in enumerate(row.accounts):
        reasons = [f"target {place + 1} by strategy {strategy}", *row.why]
        if len(leaf.accounts) > 1:
            by = f"priority {account.priority}" if how == "fill-first" else how
            reasons.append(f"account {rank + 1} of {len(leaf.accounts)} by {by}")
        if account.id == bound:
            reasons.append("the account of this session")
        if seen.facts.pinned_connection == account.id:
            reasons.append("pinned by the caller")
        yield Candidate(
            provider=leaf.provider,
            model=leaf.model,
            connection=account.id,
            step=leaf.step,
            key=leaf.key,
            extended_context=leaf.extended_context,
            reasons=tuple(reasons),
            score=row.score,
            factors=row.factors,
            turns=turns,
        )


def account_counter(provider: str) -> str:
    """The counter of accounts dealt at a provider."""
    return f"accounts of {provider}"
