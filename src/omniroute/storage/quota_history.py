"""Reports about quotas as rows, and back: what is known of accounts survives a restart."""

from collections.abc import Callable, Mapping

import msgspec

from omniroute.catalog.quota_report import QuotaReport, QuotaWindow, length_ms
from omniroute.storage.database import Database
from omniroute.storage.records.configuration import Connection
from omniroute.storage.records.live import QuotaSnapshot

BALANCE = "balance"
"""The window of a report that has none."""


class QuotaHistory:
    """Keeps every report, one row for each of its windows.

    Args:
        new_id: makes ids no two rows share.
    """

    def __init__(self, database: Database, new_id: Callable[[], str]) -> None:
        self._database = database
        self._new_id = new_id

    async def keep(self, account: Connection, report: QuotaReport, at_ms: int) -> None:
        """Store what an account's provider reported.

        Raises:
            StorageUnavailable: it could not be stored.
        """
        whole: Mapping[str, QuotaWindow | None] = report.windows or {BALANCE: None}
        rows = [self._row(account, report, at_ms, name, row) for name, row in whole.items()]
        async with self._database.work() as work:
            await work.quotas.append(rows)

    async def latest(self) -> dict[str, tuple[int, QuotaReport]]:
        """The newest report on every account, and when it came (epoch ms)."""
        async with self._database.reading() as work:
            rows = await work.quotas.latest()
        found: dict[str, tuple[int, QuotaReport]] = {}
        for row in rows:
            try:
                part = msgspec.convert(row.raw, QuotaReport)
            except msgspec.ValidationError:
                continue  # what is damaged is asked for again
            before = found.get(row.connection_id)
            windows = {**(before[1].windows if before else {}), **part.windows}
            found[row.connection_id] = (
                row.created_at_ms,
                msgspec.structs.replace(part, windows=windows),
            )
        return found

    def _row(
        self,
        account: Connection,
        report: QuotaReport,
        at_ms: int,
        name: str,
        window: QuotaWindow | None,
    ) -> QuotaSnapshot:
        left = window.left if window is not None else None
        alone = {} if window is None else {name: window}
        return QuotaSnapshot(
            id=self._new_id(),
            provider=account.provider,
            connection_id=account.id,
            window_key=name,
            remaining_percentage=None if left is None else round(100 * left, 4),
            is_exhausted=report.exhausted if window is None else window.empty,
            next_reset_at_ms=None if window is None else window.reset_at_ms,
            window_duration_ms=length_ms(name),
            raw=msgspec.to_builtins(msgspec.structs.replace(report, windows=alone)),
            created_at_ms=at_ms,
        )
