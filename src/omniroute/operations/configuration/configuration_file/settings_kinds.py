"""Settings, resilience, the address filter and retention in a configuration file."""

from collections.abc import Collection, Iterator
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from omniroute.errors import OmniRouteError, ValidationFailed
from omniroute.operations.access import ip_filter
from omniroute.operations.configuration.configuration_file.everything import Everything, Name, Names
from omniroute.operations.configuration.configuration_file.fields import (
    as_written,
    read_fields,
    spellings,
)
from omniroute.operations.configuration.configuration_file.kind import (
    VALUE,
    Applying,
    Kind,
    Reading,
)
from omniroute.operations.configuration.configuration_file.places import Path
from omniroute.operations.configuration.settings import require_valid_settings
from omniroute.operations.routing import resilience
from omniroute.operations.storage import retention
from omniroute.routing.resilience.profiles import SETTING
from omniroute.routing.settings import SETTING_ROWS
from omniroute.storage.database import Work
from omniroute.storage.records.access import IpFilter


class Setting(Struct, frozen=True):
    """One setting that somebody changed."""

    name: str
    value: Any


class SettingsKind(Kind[Setting]):
    """Settings by name, in the words of the management API."""

    section = "settings"
    single = True
    about = "Settings by name; what is not here has its default."

    def rows(self, stored: Everything) -> Iterator[tuple[Name, Setting]]:
        for name, value in sorted(stored.settings.items()):
            if name in SETTING_ROWS:
                yield (name,), Setting(name, value)

    def told(self, row: Setting, names: Names, stored: Everything) -> dict[str, Any]:
        return {VALUE: as_written(row.value)}

    def read(self, reading: Reading) -> dict[Name, Setting]:
        found: dict[Name, Setting] = {}
        for (name,), value in reading.tables(self.section, 1):
            try:
                require_valid_settings({name: value})
            except ValidationFailed as error:
                reading.document.refusals((self.section,), error, {})
                continue
            found[name,] = Setting(name, value)
        return found

    def placed(
        self, stored: Everything, wanted: Collection[Setting], gone: Collection[Setting]
    ) -> Everything:
        left = {row.name for row in gone}
        kept = {name: value for name, value in stored.settings.items() if name not in left}
        return replace(stored, settings={**kept, **{row.name: row.value for row in wanted}})

    async def save(self, work: Work, row: Setting, old: Setting | None, doing: Applying) -> None:
        await work.settings.set(row.name, row.value)

    async def delete(self, work: Work, row: Setting, doing: Applying) -> None:
        await work.settings.delete(row.name)


class ResilienceKind(Kind[dict[str, Any]]):
    """What failures lead to, in the words of `/api/resilience`."""

    section = SETTING
    depth = 0
    about = "What failures lead to, as PATCH /api/resilience takes it."

    def rows(self, stored: Everything) -> Iterator[tuple[Name, dict[str, Any]]]:
        value = stored.settings.get(SETTING)
        if isinstance(value, dict) and value:
            yield (), value

    def told(self, row: dict[str, Any], names: Names, stored: Everything) -> dict[str, Any]:
        return dict(as_written(row))

    def read(self, reading: Reading) -> dict[Name, dict[str, Any]]:
        written = reading.document.data.get(self.section)
        if written is None:
            return {}
        if not isinstance(written, dict):
            reading.document.problem((self.section,), "must be a table.")
            return {}
        try:
            wanted = resilience.in_todays_words(written)
            resilience.require_resilience(reading.engine, wanted)
        except ValidationFailed as error:
            reading.document.refusals((self.section,), error, {})
            return {}
        return {(): wanted} if wanted else {}

    def placed(
        self,
        stored: Everything,
        wanted: Collection[dict[str, Any]],
        gone: Collection[dict[str, Any]],
    ) -> Everything:
        kept = {name: value for name, value in stored.settings.items() if name != SETTING}
        value = next(iter(wanted), None)
        return replace(stored, settings=kept if value is None else {**kept, SETTING: value})

    async def save(
        self, work: Work, row: dict[str, Any], old: dict[str, Any] | None, doing: Applying
    ) -> None:
        self._afterwards(doing)
        await work.settings.set(SETTING, row)

    async def delete(self, work: Work, row: dict[str, Any], doing: Applying) -> None:
        self._afterwards(doing)
        await work.settings.delete(SETTING)

    def _afterwards(self, doing: Applying) -> None:
        engine = doing.engine
        before = engine.policy.settings
        doing.after.append(lambda: resilience.forget_if_hints_changed(engine, before))


class IpFilterKind(Kind[IpFilter]):
    """Which addresses may connect."""

    section = "ip_filter"
    depth = 0
    about = "Which addresses may connect."

    def rows(self, stored: Everything) -> Iterator[tuple[Name, IpFilter]]:
        rules = stored.access.ip_filter
        if _lasting(rules) != IpFilter():
            yield (), rules

    def told(self, row: IpFilter, names: Names, stored: Everything) -> dict[str, Any]:
        return dict(as_written(_lasting(row)))

    def read(self, reading: Reading) -> dict[Name, IpFilter]:
        written = reading.document.data.get(self.section)
        path: Path = (self.section,)
        if written is None:
            return {}
        hidden = set(ip_filter.IpFilterChange.__struct_fields__) - {
            "enabled", "mode", "blacklist", "whitelist"
        }  # fmt: skip
        change = read_fields(
            ip_filter.IpFilterChange, written, path, reading.document, hidden=hidden
        )
        if change is None:
            return {}
        try:
            ip_filter.require_entries(change)
        except ValidationFailed as error:
            reading.document.refusals(path, error, spellings(ip_filter.IpFilterChange))
            return {}
        old = reading.stored.access.ip_filter
        fresh = IpFilter(temp_bans=old.temp_bans)
        new = ip_filter.changed_filter(fresh, change, reading.engine.now_ms())
        return {} if _lasting(new) == IpFilter() else {(): new}

    def placed(
        self, stored: Everything, wanted: Collection[IpFilter], gone: Collection[IpFilter]
    ) -> Everything:
        bans = stored.access.ip_filter.temp_bans
        rules = next(iter(wanted), None)
        if rules is None:
            rules = IpFilter(temp_bans=bans) if gone else stored.access.ip_filter
        return replace(stored, access=replace(stored.access, ip_filter=rules))

    async def save(self, work: Work, row: IpFilter, old: IpFilter | None, doing: Applying) -> None:
        await work.access.set_ip_filter(row)

    async def delete(self, work: Work, row: IpFilter, doing: Applying) -> None:
        await work.access.set_ip_filter(IpFilter(temp_bans=row.temp_bans))


def _lasting(rules: IpFilter) -> IpFilter:
    return replace(rules, temp_bans={})


class RetentionKind(Kind[dict[str, Any]]):
    """How long records stay."""

    section = "retention"
    depth = 0
    about = "How long records stay: days by kind of record, 0 for any."

    def rows(self, stored: Everything) -> Iterator[tuple[Name, dict[str, Any]]]:
        if stored.retention:
            yield (), dict(stored.retention)

    def told(self, row: dict[str, Any], names: Names, stored: Everything) -> dict[str, Any]:
        words = {new: old for old, new in _RETENTION_WORDS.items()}
        return {words.get(name, name): as_written(value) for name, value in row.items()}

    def read(self, reading: Reading) -> dict[Name, dict[str, Any]]:
        written = reading.document.data.get(self.section)
        if written is None:
            return {}
        change = read_fields(
            retention.DatabaseChange,
            written,
            (self.section,),
            reading.document,
            renamed={"retention": "days", "max_rows": "rows"},
        )
        if change is None or change == retention.DatabaseChange():
            return {}
        try:
            retention.require_known(change)
        except OmniRouteError as error:
            words = spellings(retention.DatabaseChange, {"retention": "days", "max_rows": "rows"})
            reading.document.refusals((self.section,), error, words)
            return {}
        said = msgspec.to_builtins(change)
        return {(): {name: value for name, value in said.items() if value not in (None, {})}}

    def placed(
        self,
        stored: Everything,
        wanted: Collection[dict[str, Any]],
        gone: Collection[dict[str, Any]],
    ) -> Everything:
        value = next(iter(wanted), None)
        return replace(stored, retention=value or ({} if gone else stored.retention))

    async def save(
        self, work: Work, row: dict[str, Any], old: dict[str, Any] | None, doing: Applying
    ) -> None:
        await work.settings.set(retention.NAMESPACE, row, namespace=retention.NAMESPACE)

    async def delete(self, work: Work, row: dict[str, Any], doing: Applying) -> None:
        await work.settings.set(retention.NAMESPACE, {}, namespace=retention.NAMESPACE)


_RETENTION_WORDS = {
    "auto_cleanup_enabled": "autoCleanupEnabled",
    "vacuum_after_cleanup": "vacuumAfterCleanup",
    "days": "retention",
    "rows": "maxRows",
}
