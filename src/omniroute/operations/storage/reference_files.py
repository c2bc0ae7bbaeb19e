"""Database files of the reference product, read as far as they fit. Source: 02 §31."""

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from omniroute.catalog.providers import PREFIXES, PROVIDERS
from omniroute.clock import iso
from omniroute.errors import OmniRouteError
from omniroute.operations.combos.combo_steps import steps_of
from omniroute.operations.combos.combos import ComboInput
from omniroute.operations.configuration.settings import require_valid_settings
from omniroute.operations.inputs import convert_input
from omniroute.routing.combo_config import read_config
from omniroute.storage.backups.manifest import opened
from omniroute.storage.database import Database, Work
from omniroute.storage.records.configuration import ApiKey, Combo, Connection, ProviderNode
from omniroute.storage.secret_box import SecretBox

_JSON = {
    "provider_specific_data",
    "data",
    "value",
    "scopes",
    "allowed_models",
    "allowed_connections",
    "access_schedule",
    "rate_limits",
    "ip_allowlist",
}
_TAKEN = ("provider_connections", "provider_nodes", "combos", "api_keys", "key_value")
_STRICT_KEY_FIELDS = ("allowed_models", "allowed_connections", "scopes", "ip_allowlist")

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ReferenceFiles:
    """Makes databases of ours out of databases of the reference product.

    Provider keys that are clear text there, or sealed under a passphrase this installation has,
    are sealed anew; gateway keys that are clear text there are hashed. What does not fit is left
    out and named.
    """

    box: SecretBox
    hash_key: Callable[[str], str]
    now_ms: Callable[[], int]

    async def translate(self, source: Path, target: Path) -> list[str]:
        """Fill a new SQLite file; sentences that say what was left out, and why."""
        database = await Database.open(f"sqlite:///{target}", target.parent, self.box)
        told = _Told()
        try:
            async with database.work() as work:
                with closing(opened(source)) as file:
                    file.row_factory = sqlite3.Row
                    await self._take_over(work, file, told)
                await work.settings.bump()
        finally:
            await database.close()
        return told.sentences()

    async def _take_over(self, work: Work, file: sqlite3.Connection, told: "_Told") -> None:
        nodes = set()
        for row in _rows(file, "provider_nodes"):
            with told.about("provider node", row):
                node = _node(row)
                await work.nodes.save(node)
                nodes.add(node.id)
        for row in _rows(file, "provider_connections"):
            with told.about("account", row):
                await work.connections.save(self._connection(row, nodes, told))
        names = {str(row["name"]) for row in _rows(file, "combos")}
        for row in _rows(file, "combos"):
            with told.about("combo", row):
                await work.combos.save(_combo(row, names, iso(self.now_ms())))
        for row in _rows(file, "api_keys"):
            with told.about("API key", row):
                await work.keys.save(self._key(row))
        await _settings(work, file, told)
        for table in _others(file):
            told.note(f"the table {table}: OmniRoute for Python keeps such records its own way")

    def _connection(self, row: Row, nodes: set[str], told: "_Told") -> Connection:
        provider = str(row["provider"])
        known = PREFIXES.get(provider) or PROVIDERS.get(provider)
        if known is None and provider not in nodes:
            raise _LeftOut(f"there is no provider '{provider}' here")
        if row.get("auth_type") not in (None, "apikey", "none"):
            raise _LeftOut("it signs in with a browser; sign in again here")
        secret = row.get("api_key")
        key = self._opened(secret)
        if secret and key is None:
            told.note(f"the key of account '{row['name']}': it is sealed; enter it again")
        options = row.get("provider_specific_data")
        values = {
            **_only(Connection, row),
            "provider": provider if known is None else known.id,
            "api_key": key,
            "auth_type": row.get("auth_type") or "apikey",
            "name": row.get("name") or row.get("display_name") or row.get("email") or row["id"],
            "group": row.get("group_name"),
            "options": options if isinstance(options, dict) else {},
            "test_status": "unknown",
            "backoff_level": 0,
            "rate_limited_until": None,
            "quota_window_thresholds": None,
        }
        return msgspec.convert(values, Connection, strict=False)

    def _key(self, row: Row) -> ApiKey:
        text = self._opened(row.get("key"))
        if text is None:
            raise _LeftOut("its text is not in the file; issue a new one")
        values = {
            **_only(ApiKey, row),
            "key_hash": self.hash_key(text),
            "prefix": text[:8],
            "suffix": text[-4:],
            "machine_id": row.get("machine_id") or "",
        }
        for name in _STRICT_KEY_FIELDS:
            # A restriction that cannot be read must not become none.
            if row.get(name) is not None and not isinstance(row[name], list):
                raise _LeftOut(f"its {name} cannot be read; issue a new one")
        return msgspec.convert(values, ApiKey, strict=False)

    def _opened(self, stored: object) -> str | None:
        if not isinstance(stored, str) or not stored:
            return None
        return self.box.open_reference(stored) if stored.startswith("enc:v1:") else stored


class _LeftOut(Exception):
    """One row cannot come along; the message says why."""


@dataclass(slots=True)
class _Told:
    """What was left out."""

    notes: list[str] = field(default_factory=list)

    def about(self, what: str, row: Row) -> "_Row":
        name = row.get("name") or row.get("email") or row.get("id")
        return _Row(self, f"{what} '{name}'")

    def note(self, text: str) -> None:
        self.notes.append(text)

    def sentences(self) -> list[str]:
        """Each of them once."""
        return [f"Left out: {note}." for note in dict.fromkeys(self.notes)]


@dataclass(frozen=True, slots=True)
class _Row:
    """What fails in here is about one row, and the others still come along."""

    told: _Told
    name: str

    def __enter__(self) -> None:
        return None

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> bool:
        if isinstance(error, _LeftOut | OmniRouteError | msgspec.ValidationError):
            self.told.note(f"{self.name}: {str(error).rstrip('.')}")
            return True
        if isinstance(error, KeyError):
            self.told.note(f"{self.name}: the column {error} is missing")
            return True
        return False


def _rows(file: sqlite3.Connection, table: str) -> Iterator[dict[str, Any]]:
    for row in file.execute(f"SELECT * FROM {table}"):  # noqa: S608
        found = {name: row[name] for name in row.keys()}  # noqa: SIM118
        for name in _JSON & found.keys():
            found[name] = _parsed(found[name])
        yield found


def _parsed(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return msgspec.json.decode(value)
    except msgspec.DecodeError:
        return value


def _only(kind: type[msgspec.Struct], row: Row) -> dict[str, Any]:
    """The columns a record has fields for; what is null gets the record's default."""
    return {
        name: row[name] for name in kind.__struct_fields__ if name in row and row[name] is not None
    }


def _node(row: Row) -> ProviderNode:
    return msgspec.convert(_only(ProviderNode, row), ProviderNode, strict=False)


def _combo(row: Row, names: set[str], now: str) -> Combo:
    data = row["data"] if isinstance(row["data"], dict) else {}
    new = convert_input(ComboInput, {**data, "name": row["name"]})
    read_config(new.config)  # what cannot be read does not come along
    strategy = new.strategy if isinstance(new.strategy, str) else "priority"
    return Combo(
        id=str(row["id"]),
        name=new.name,
        strategy=strategy,
        steps=steps_of(new.name, new.models, names),
        config=new.config,
        allowed_providers=tuple(new.allowed_providers),
        system_message=row.get("system_message") or new.system_message,
        tool_filter_regex=row.get("tool_filter_regex") or new.tool_filter_regex,
        context_cache_protection=bool(row.get("context_cache_protection")),
        context_length=new.context_length,
        sort_order=int(row.get("sort_order") or 0),
        created_at=str(row.get("created_at") or now),
        updated_at=str(row.get("updated_at") or now),
    )


async def _settings(work: Work, file: sqlite3.Connection, told: _Told) -> None:
    if not _has(file, "key_value"):
        return
    unknown = set()
    for row in _rows(file, "key_value"):
        space, name, value = row["namespace"], row["key"], row["value"]
        if space == "modelAliases" and isinstance(value, str):
            await work.model_names.set_alias(name, value)
        elif space != "settings":
            told.note(f"the settings in '{space}'")
        elif value is not None:
            try:
                require_valid_settings({name: value})
            except OmniRouteError:
                unknown.add(name)
                continue
            await work.settings.set(name, value)
    if unknown:
        told.note(f"settings that do not exist or do not fit here: {', '.join(sorted(unknown))}")


def _has(file: sqlite3.Connection, table: str) -> bool:
    named = file.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (table,))
    return named.fetchone() is not None


def _others(file: sqlite3.Connection) -> list[str]:
    """Further tables that hold something."""
    names = [row[0] for row in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return sorted(
        name
        for name in names
        if name not in _TAKEN
        and not name.startswith(("sqlite_", "db_meta", "schema_migrations"))
        and file.execute(f'SELECT 1 FROM "{name}" LIMIT 1').fetchone()  # noqa: S608
    )
