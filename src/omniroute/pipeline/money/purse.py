"""A process's share of one limit: leased from the shared store, spent without asking it again."""

import asyncio
from dataclasses import dataclass, field
from typing import Protocol

from omniroute.pipeline.money.budgets import Window
from omniroute.storage.records.money import WindowKey, WindowStanding

SLICES = 16
"""A lease grows by a sixteenth of its limit, unless a request needs more: others want some, too."""


class Vault(Protocol):
    """The shared store of limits. Every call is one atomic step."""

    @property
    def holder(self) -> str:
        """The name of this process's leases."""

    async def lease(
        self, key: WindowKey, end_ms: int | None, limit: int, want: int
    ) -> WindowStanding:
        """Add up to `want` micro-USD to this process's lease, as far as the limit lets it."""

    async def give_back(self, key: WindowKey, micro_usd: int) -> None:
        """Return a part of this process's lease."""


@dataclass(slots=True, eq=False)
class Purse:
    """One window's money in this process, micro-USD.

    `leased` is what the lease still holds, `held` what running requests have set aside of it,
    `spent` what anybody is known to have spent, `others` what other processes have leased.
    `holders` counts the requests that hold some, `growing` those of them that wait for more, and
    `waiting` all who wait.
    A limit that only alerts is not leased, so there `leased` goes below zero. `lock` keeps the
    steps at the store in their order, `known` says that it was asked what was spent before.
    """

    window: Window
    leased: int = 0
    held: int = 0
    spent: int = 0
    others: int = 0
    holders: int = 0
    growing: int = 0
    waiting: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    used_at_ms: int = 0
    warned: bool = False
    known: bool = False

    @property
    def unheld(self) -> int:
        """What of the lease no request holds."""
        return self.leased - self.held

    @property
    def free(self) -> int:
        """What may be set aside without asking anybody: never more than a limit that was lowered
        leaves."""
        return min(self.leased, self.unspent) - self.held

    @property
    def unspent(self) -> int:
        """What would be free if every reservation came to nothing."""
        return self.window.limit - self.spent

    @property
    def reserved(self) -> int:
        """What running requests and other processes hold."""
        return self.held + self.others

    def saw(self, standing: WindowStanding) -> None:
        """Take over what the store says.

        Costs of ours that it has not heard of yet are what its idea of our lease has too much.
        """
        self.known = True
        self.leased += standing.granted
        self.spent = standing.spent + standing.mine - self.leased
        self.others = standing.others

    def settle(self, held: int, cost: int) -> None:
        """Put a cost in the place of what was set aside for it."""
        self.holders -= 1
        self.held -= held
        self.leased -= cost
        self.spent += cost
