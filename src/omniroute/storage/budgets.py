"""Budgets in SQL, what was spent in their windows, and what processes have leased of them.

A process leases money in one transaction, so that leases and spent never pass the limit together.
What it spends reaches the window with the record of the request, once, and leaves its lease then.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from omniroute.storage.records.money import BudgetRow, LeaseRow, WindowKey, WindowStanding
from omniroute.storage.records.usage import SpentCharge
from omniroute.storage.statements import insert_into, insert_new, upsert
from omniroute.storage.tables import budget_leases, budget_windows, budgets, usage_history


class BudgetRepository:
    """Limits by scope."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def list(self) -> tuple[BudgetRow, ...]:
        """All budgets, oldest first."""
        rows = await self._connection.execute(
            select(budgets).order_by(
                budgets.c.created_at_ms, budgets.c.scope_kind, budgets.c.scope_id
            )
        )
        return tuple(BudgetRow(**row) for row in rows.mappings())

    async def save(self, row: BudgetRow) -> None:
        """Insert the budget, or overwrite the one of its scope."""
        await upsert(
            self._connection, budgets, {name: getattr(row, name) for name in row.__struct_fields__}
        )

    async def delete(self, kind: str, id: str) -> bool:  # noqa: A002
        """Remove a scope's budget and what is known of its windows; False when there was none."""
        for table in (budget_leases, budget_windows):
            await self._connection.execute(
                delete(table).where(table.c.scope_kind == kind, table.c.scope_id == id)
            )
        removed = await self._connection.execute(
            delete(budgets).where(budgets.c.scope_kind == kind, budgets.c.scope_id == id)
        )
        return removed.rowcount > 0


class LeaseRepository:
    """Windows and leases. Call within one transaction for writing."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def lease(
        self, holder: str, key: WindowKey, end_ms: int | None, limit: int, want: int, now_ms: int
    ) -> WindowStanding:
        """Add up to `want` micro-USD to a lease, as far as the limit lets it; how things stand."""
        spent = await self._locked(key, end_ms)
        rows = await self._connection.execute(
            select(budget_leases.c.holder, budget_leases.c.micro_usd).where(_of(budget_leases, key))
        )
        leases = {row.holder: int(row.micro_usd) for row in rows}
        mine = leases.pop(holder, 0)
        others = sum(max(0, one) for one in leases.values())
        granted = max(0, min(want, limit - spent - others - max(0, mine)))
        if granted:
            await upsert(
                self._connection,
                budget_leases,
                {"holder": holder, **_columns(key), "micro_usd": mine + granted, "seen_ms": now_ms},
            )
        return WindowStanding(spent=spent, granted=granted, mine=mine + granted, others=others)

    async def give_back(self, holder: str, key: WindowKey, micro_usd: int) -> None:
        """Return a part of a lease."""
        await self._take_off(holder, key, micro_usd)
        await self._connection.execute(
            delete(budget_leases).where(
                budget_leases.c.holder == holder,
                _of(budget_leases, key),
                budget_leases.c.micro_usd == 0,
            )
        )

    async def charge(self, charges: Iterable[SpentCharge]) -> None:
        """Add costs to their windows, and take them off the leases they were paid from."""
        sums: dict[tuple[str, WindowKey], int] = {}
        for one in charges:
            place = one.holder, WindowKey(one.kind, one.id, one.period, one.start_ms)
            sums[place] = sums.get(place, 0) + one.micro_usd
        # In one order everywhere: two processes that lock the same rows must not wait crosswise.
        for (holder, key), micro_usd in sorted(
            sums.items(), key=lambda row: (row[0][1], row[0][0])
        ):
            await self._connection.execute(
                update(budget_windows)
                .where(_of(budget_windows, key))
                .values(spent_micro_usd=budget_windows.c.spent_micro_usd + micro_usd)
            )
            await self._take_off(holder, key, micro_usd)

    async def holders(self) -> tuple[str, ...]:
        """Everybody who has leases."""
        rows = await self._connection.execute(select(budget_leases.c.holder).distinct())
        return tuple(row.holder for row in rows)

    async def seen(self, holder: str, now_ms: int) -> None:
        """Note that a holder is alive."""
        await self._connection.execute(
            update(budget_leases).where(budget_leases.c.holder == holder).values(seen_ms=now_ms)
        )

    async def drop(self, holders: Sequence[str]) -> None:
        """Free what dead processes have leased; their costs must be charged already."""
        if holders:
            await self._connection.execute(
                delete(budget_leases).where(budget_leases.c.holder.in_(holders))
            )

    async def drop_unseen(self, before_ms: int) -> None:
        """Free what processes elsewhere have leased that nobody has heard of for long."""
        await self._connection.execute(
            delete(budget_leases).where(budget_leases.c.seen_ms < before_ms)
        )

    async def open(self, key: WindowKey, end_ms: int | None, spent_micro_usd: int) -> None:
        """Begin a window in which something was spent already."""
        row = {**_columns(key), "end_ms": end_ms, "spent_micro_usd": spent_micro_usd}
        await upsert(self._connection, budget_windows, row)

    async def leases(self, key: WindowKey) -> tuple[LeaseRow, ...]:
        """Who has leased how much of a window."""
        rows = await self._connection.execute(
            select(budget_leases.c.holder, budget_leases.c.micro_usd).where(_of(budget_leases, key))
        )
        return tuple(LeaseRow(row.holder, int(row.micro_usd)) for row in rows)

    async def spent(self, key: WindowKey) -> int | None:
        """What was spent in a window; None when nobody has asked for it yet."""
        rows = await self._connection.execute(
            select(budget_windows.c.spent_micro_usd).where(_of(budget_windows, key))
        )
        row = rows.first()
        return None if row is None else int(row.spent_micro_usd)

    async def _locked(self, key: WindowKey, end_ms: int | None) -> int:
        """What was spent in a window, which nobody else can change until we are done."""
        which = select(budget_windows.c.spent_micro_usd).where(_of(budget_windows, key))
        row = (await self._connection.execute(which.with_for_update())).first()
        if row is None:
            spent = await self._earlier(key) if key.kind == "key" else 0
            fresh = {**_columns(key), "end_ms": end_ms, "spent_micro_usd": spent}
            await insert_new(self._connection, budget_windows, [fresh])
            row = (await self._connection.execute(which.with_for_update())).one()
        return int(row.spent_micro_usd)

    async def _earlier(self, key: WindowKey) -> int:
        """What a key had spent in a window before it had a budget."""
        rows = await self._connection.execute(
            select(func.coalesce(func.sum(usage_history.c.cost_micro_usd), 0)).where(
                usage_history.c.api_key_id == key.id, usage_history.c.timestamp >= key.start_ms
            )
        )
        return int(rows.scalar_one())

    async def _take_off(self, holder: str, key: WindowKey, micro_usd: int) -> None:
        statement = insert_into(self._connection, budget_leases)
        primary = [column.name for column in budget_leases.primary_key]
        await self._connection.execute(
            statement.on_conflict_do_update(
                index_elements=primary,
                set_={"micro_usd": budget_leases.c.micro_usd - micro_usd},
            ),
            {"holder": holder, **_columns(key), "micro_usd": -micro_usd, "seen_ms": 0},
        )


def _columns(key: WindowKey) -> dict[str, Any]:
    return {
        "scope_kind": key.kind,
        "scope_id": key.id,
        "period": key.period,
        "start_ms": key.start_ms,
    }


def _of(table: Any, key: WindowKey) -> ColumnElement[bool]:
    return and_(*(table.c[name] == value for name, value in _columns(key).items()))
