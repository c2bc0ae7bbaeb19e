"""The world as a trace recorded it, so that a changed configuration can be tried on the past."""

from collections.abc import Iterator

from omniroute.routing.targets import (
    AccountUse,
    Branch,
    BreakerState,
    Healing,
    LastGood,
    Leaf,
    Node,
    Performance,
    Place,
    Quota,
    SeenAccount,
    Survey,
)

_NEVER = AccountUse()


class RecordedWorld:
    """What a survey saw, by the names it was looked up under.

    Of what it did not see nothing is known: no failures, no measurements, turn 0. `unseen`
    collects the targets that were looked for in vain.
    """

    def __init__(self, seen: Survey) -> None:
        self._seen = seen
        # What stood by was looked at as well; what was planned says more about it.
        every = [*(row.leaf for row in seen.standby), *_leaves(seen.root)]
        self._leaves = {(leaf.provider, leaf.model): leaf for leaf in every}
        self._breakers = {leaf.provider: leaf.breaker for leaf in every}
        self._healing = {leaf.provider: leaf.healing for leaf in every}
        self._accounts: dict[str, SeenAccount] = {}
        self._places: dict[Place, SeenAccount] = {}
        for leaf in every:
            for row in leaf.accounts:
                self._accounts[row.id] = row
                self._places[leaf.provider, row.id, leaf.model] = row
        self._branches = {branch.combo: branch for branch in _branches(seen.root)}
        self._turns = {
            branch.counter: branch.turn for branch in _branches(seen.root) if branch.counter
        }
        self.unseen: set[str] = set()

    @property
    def now_ms(self) -> int:
        return self._seen.now_ms

    def breaker(self, provider: str) -> BreakerState:
        return self._breakers.get(provider, "CLOSED")

    def blocked(self, provider: str, connection: str, model: str) -> tuple[str, int | None] | None:
        row = self._places.get((provider, connection, model))
        if row is None:
            self.unseen.add(f"{provider}/{model}")
            return None
        return None if row.blocked is None else (row.blocked, row.until_ms)

    def trouble(self, connection: str) -> tuple[int, int | None]:
        row = self._accounts.get(connection)
        return (0, None) if row is None else (row.backoff, row.last_status)

    def performance(self, provider: str, model: str) -> Performance | None:
        leaf = self._leaves.get((provider, model))
        return leaf.performance if leaf is not None else None

    def requests(self, combo: str, model: str) -> int:
        leaf = next(
            (one for one in self._of(combo) if f"{one.provider}/{one.model}" == model), None
        )
        return (leaf.requests or 0) if leaf is not None else 0

    def last_good(self, combo: str) -> LastGood | None:
        branch = self._branches.get(combo)
        return branch.last_good if branch is not None else None

    def turn(self, counter: str) -> int:
        if counter in self._turns:
            return self._turns[counter]
        dealt = (leaf.account_turn for leaf in self._leaves.values())
        return max(dealt, default=0) if counter.startswith("accounts of ") else 0

    def use(self, connection: str) -> AccountUse:
        row = self._accounts.get(connection)
        return (row.use or _NEVER) if row is not None else _NEVER

    def in_flight(self, connection: str) -> int:
        row = self._accounts.get(connection)
        return row.in_flight if row is not None else 0

    def quota(self, connection: str) -> Quota | None:
        row = self._accounts.get(connection)
        return row.quota if row is not None else None

    def remark(self, connection: str) -> str | None:
        row = self._accounts.get(connection)
        return row.remark if row is not None else None

    def bound(self, session: str, provider: str) -> str | None:
        return self._seen.bound.get(provider) if session == self._seen.facts.session else None

    def pinned(self, conversation: str, combo: str) -> tuple[str, str] | None:
        branch = self._branches.get(combo)
        same = conversation == self._seen.facts.conversation
        return branch.pinned if branch is not None and same else None

    def healing(self, provider: str) -> Healing | None:
        return self._healing.get(provider)

    def _of(self, combo: str) -> Iterator[Leaf]:
        branch = self._branches.get(combo)
        return _leaves(branch) if branch is not None else iter(())


def _branches(node: Node) -> Iterator[Branch]:
    if isinstance(node, Branch):
        yield node
        for child in node.children:
            yield from _branches(child)


def _leaves(node: Node) -> Iterator[Leaf]:
    if isinstance(node, Leaf):
        yield node
        return
    for child in node.children:
        yield from _leaves(child)
