"""A process that spends until it is refused, for tests that kill it. Prints a line a settlement."""

import asyncio
import random
import sys
from pathlib import Path

from omniroute.errors import BudgetExceeded
from omniroute.pipeline.money.budgets import Budget, Scope
from omniroute.pipeline.money.ledger import Ledger, Need
from omniroute.storage.database import Database
from omniroute.storage.drainer import Drainer
from omniroute.storage.holders import Holder
from omniroute.storage.journal import Journal, sql_sink
from omniroute.storage.records.usage import FinishedRequest, TraceRow
from omniroute.storage.secret_box import SecretBox
from omniroute.storage.vault import SqlVault

NOW_MS = 1_700_000_000_000


async def main(url: str, data: Path, limit: int, seed: int) -> None:
    """Spend with eight agents until each is refused."""
    database = await Database.open(url, data, SecretBox(bytes(32)))
    holder = Holder(data, "home")
    journal = Journal(data / "journal")
    sink = sql_sink(database)

    async def recover() -> set[str]:
        await journal.recover(sink)
        return journal.processes()

    ledger = Ledger(lambda: NOW_MS, SqlVault(database, holder, recover, lambda: NOW_MS))
    rng = random.Random(seed)
    limits = [Budget(scope=Scope("key", "k"), total=limit)]

    async def agent(name: int) -> None:
        number = 0
        while True:
            need = Need(reading=5, token_pico=1_000_000, max_tokens=2_000)
            try:
                held = await ledger.reserve("k", need, limits)
            except BudgetExceeded:
                return
            await asyncio.sleep(0)
            wants = min(rng.randrange(16, 2_000), held.granted_tokens or held.max_tokens or 2_000)
            cost = need.cost(wants)
            charges = ledger.settle(held, cost)
            number += 1
            trace = TraceRow(
                request_id=f"{holder.name}-{name}-{number}",
                timestamp_ms=NOW_MS,
                api_key_id="k",
                source="http",
                combo=None,
                provider="p",
                model="m",
                success=True,
                status=200,
                cost_micro_usd=cost,
                latency_ms=1,
                data="{}",
            )
            journal.append(FinishedRequest(trace=trace, charges=charges))
            print(cost, flush=True)

    async with Drainer(journal, sink, interval_s=0.01):
        await asyncio.gather(*(agent(name) for name in range(8)))
    await ledger.give_back(everything=True)
    holder.close()
    await database.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
