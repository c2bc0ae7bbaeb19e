"""Keys of the gateway and budgets in a configuration file."""

from collections.abc import Collection, Iterator
from functools import partial
from typing import Any, get_args

from msgspec.structs import replace

from omniroute.caller import ENV_KEY_ID
from omniroute.catalog.names import did_you_mean
from omniroute.clock import iso
from omniroute.errors import Conflict, OmniRouteError
from omniroute.operations.access.key_inputs import KeyInput, require_grantable
from omniroute.operations.access.key_inputs import fields_of as key_fields
from omniroute.operations.access.key_texts import text_of
from omniroute.operations.access.keys import require_still_operator
from omniroute.operations.configuration.configuration_file.everything import Everything, Name, Names
from omniroute.operations.configuration.configuration_file.fields import (
    fields_of,
    read_fields,
    spellings,
)
from omniroute.operations.configuration.configuration_file.kind import (
    Applying,
    Kind,
    Reading,
    with_rows,
)
from omniroute.operations.configuration.configuration_file.places import Path
from omniroute.operations.configuration.configuration_file.references import Secret
from omniroute.operations.money.budgets import BudgetLimits, ScopeBudgetInput, budget_row, limits_of
from omniroute.pipeline.money.budgets import ScopeKind
from omniroute.storage.database import Work
from omniroute.storage.records.configuration import ApiKey
from omniroute.storage.records.money import BudgetRow

SHORTEST_KEY = 16
"""Characters a key from a reference must have: a shorter one can be guessed."""

_KINDS: tuple[ScopeKind, ...] = tuple(one for one in get_args(ScopeKind) if one != "guard")
"""Guards are no configuration: callers set them for the session they are in."""

_IDENTITY = (
    "id",
    "name",
    "key_hash",
    "prefix",
    "suffix",
    "machine_id",
    "revoked_at",
    "last_used_at",
    "previous_key_hash",
    "previous_until_ms",
    "created_at",
)


class KeysKind(Kind[ApiKey]):
    """Keys by name, with what they may do. Their texts are not kept and never written."""

    section = "keys"
    about = "Keys of the gateway: what they may do. Texts are made once and never written here."

    def rows(self, stored: Everything) -> Iterator[tuple[Name, ApiKey]]:
        for row in stored.keys.values():
            yield (row.name,), row

    def told(self, row: ApiKey, names: Names, stored: Everything) -> dict[str, Any]:
        said = fields_of(row, *_IDENTITY, "allowed_connections")
        accounts = [names.accounts.get(one, one) for one in row.allowed_connections]
        more = {"allowed_accounts": accounts} if accounts else {}
        return {"key": Secret(row.key_hash), **said, **more}

    def read(self, reading: Reading) -> dict[Name, ApiKey]:
        have = self.named(reading.stored)
        found: dict[Name, ApiKey] = {}
        for (title,), written in reading.tables(self.section, 1):
            row = self._one(reading, title, written, have.get((title.strip(),)))
            if row is not None:
                found[row.name,] = row
        return found

    def _one(self, reading: Reading, title: str, written: Any, old: ApiKey | None) -> ApiKey | None:
        path: Path = (self.section, title)
        document, text = reading.document, None
        if isinstance(written, dict) and "key" in written:
            text = reading.references.opened(written["key"], (*path, "key"), document)
            if text and len(text) < SHORTEST_KEY:
                document.problem((*path, "key"), f"must have {SHORTEST_KEY} characters or more.")
            written = {name: value for name, value in written.items() if name != "key"}
        allowed = self._allowed(reading, written, path)
        if isinstance(written, dict):
            written = {name: one for name, one in written.items() if name != "allowed_accounts"}
        new = read_fields(
            KeyInput,
            written,
            path,
            document,
            given={"name": title},
            hidden=("allowed_connections",),
        )
        if new is None:
            return None
        try:
            said = key_fields(new)
            scopes = new.scopes if isinstance(new.scopes, tuple) else ()
            require_grantable(reading.caller, scopes, old.scopes if old is not None else ())
            row = self._row(reading, {**said, "allowed_connections": allowed}, text, old)
            if reading.caller.key_id == row.id:
                require_still_operator(row, reading.engine.now_ms())
        except OmniRouteError as error:
            document.refusals(path, error, spellings(KeyInput))
            return None
        return row

    def _row(
        self, reading: Reading, said: dict[str, Any], text: str | None, old: ApiKey | None
    ) -> ApiKey:
        engine = reading.engine
        identity: dict[str, Any] = {}
        if old is not None:
            identity = {name: getattr(old, name) for name in _IDENTITY}
        else:
            if not text:
                text = engine.new_api_key()
                reading.generated.add(said["name"])
            identity["id"] = engine.new_id()
            identity["machine_id"] = engine.installation.machine_id
            identity["created_at"] = iso(engine.now_ms())
        if text:
            found = text_of(engine, text)
            if old is None or found["key_hash"] != old.key_hash:
                identity.update(found, previous_key_hash=None, previous_until_ms=None)
                reading.made_keys[said["name"]] = text
        return ApiKey(**{**identity, **said})

    def _allowed(self, reading: Reading, written: Any, path: Path) -> tuple[str, ...]:
        if not isinstance(written, dict) or "allowed_accounts" not in written:
            return ()
        where, named = (*path, "allowed_accounts"), written["allowed_accounts"]
        if not isinstance(named, list) or not all(isinstance(one, str) for one in named):
            reading.document.problem(where, "must be a list of accounts, 'provider/name'.")
            return ()
        found = []
        for at, one in enumerate(named):
            if "/" not in one:  # the id of an account that is gone, or was found at start
                found.append(one)
                continue
            id_ = reading.account(one, (*where, at))
            found.append(id_ or "")
        return tuple(found)

    def placed(
        self, stored: Everything, wanted: Collection[ApiKey], gone: Collection[ApiKey]
    ) -> Everything:
        left = {row.id for row in gone}
        rows = with_rows(stored.keys, ((row.id, row) for row in wanted), left)
        budgets = tuple(
            row
            for row in stored.budgets
            if not (row.scope_kind in ("key", "guard") and row.scope_id in left)
        )
        return replace(stored, keys=rows, budgets=budgets)

    async def save(self, work: Work, row: ApiKey, old: ApiKey | None, doing: Applying) -> None:
        await work.keys.save(row)
        text = doing.made_keys.get(row.name)
        if text is not None:
            await work.keys.seal(row.id, text if doing.engine.reveals_keys else None)

    async def delete(self, work: Work, row: ApiKey, doing: Applying) -> None:
        await work.keys.delete(row.id)
        for kind in ("key", "guard"):
            await work.budgets.delete(kind, row.id)
        await work.rates.drop_key(row.id)
        await work.sessions.drop_key(row.id)
        for kind in ("key", "guard"):
            doing.after.append(partial(doing.engine.ledger.forget, kind, row.id))

    def require_deletable(self, reading: Reading, gone: Collection[ApiKey]) -> None:
        """Nobody takes away the key they manage with.

        Raises:
            Conflict: the caller's own key would go.
        """
        if any(row.id == reading.caller.key_id for row in gone):
            raise Conflict("An API key cannot delete itself.", code="own_key")


class BudgetsKind(Kind[BudgetRow]):
    """What keys, sessions, runs and tasks may spend."""

    section = "budgets"
    depth = 2
    about = "What may be spent, by kind of scope (key, session, run, task) and name."

    def rows(self, stored: Everything) -> Iterator[tuple[Name, BudgetRow]]:
        keys = Names(stored).keys
        for row in stored.budgets:
            if row.scope_kind not in _KINDS:
                continue
            known = keys.get(row.scope_id, row.scope_id) if row.scope_kind == "key" else None
            yield (row.scope_kind, known or row.scope_id), row

    def told(self, row: BudgetRow, names: Names, stored: Everything) -> dict[str, Any]:
        return fields_of(limits_of(row))

    def read(self, reading: Reading) -> dict[Name, BudgetRow]:
        have = self.named(reading.stored)
        ids = {name: id_ for id_, name in reading.names.keys.items()}
        orphans = {row.scope_id for row in reading.stored.budgets if row.scope_kind == "key"}
        found: dict[Name, BudgetRow] = {}
        for (kind, named), written in reading.tables(self.section, 2):
            path: Path = (self.section, kind, named)
            scope = next((one for one in _KINDS if one == kind), None)
            if scope is None:
                hint = did_you_mean(kind, _KINDS)
                told = f"must be one of: {', '.join(_KINDS)}.{hint}"
                reading.document.problem(path[:2], told)
                continue
            scope_id = named
            if scope == "key":
                scope_id = ids.get(named, named)
                if scope_id == named and named not in (ENV_KEY_ID, *orphans):
                    hint = did_you_mean(named, ids)
                    reading.document.problem(path, f"there is no key of that name.{hint}")
                    continue
            limits = read_fields(BudgetLimits, written, path, reading.document)
            if limits is None:
                continue
            said = {name: getattr(limits, name) for name in limits.__struct_fields__}
            new = ScopeBudgetInput(scope=scope, scope_id=scope_id, **said)
            old = have.get((kind, named))
            try:
                found[kind, named] = budget_row(new, old, reading.engine.now_ms())
            except OmniRouteError as error:
                reading.document.refusals(path, error, spellings(BudgetLimits))
        return found

    def placed(
        self, stored: Everything, wanted: Collection[BudgetRow], gone: Collection[BudgetRow]
    ) -> Everything:
        rows = with_rows(
            {(row.scope_kind, row.scope_id): row for row in stored.budgets},
            (((row.scope_kind, row.scope_id), row) for row in wanted),
            ((row.scope_kind, row.scope_id) for row in gone),
        )
        return replace(stored, budgets=tuple(rows.values()))

    async def save(
        self, work: Work, row: BudgetRow, old: BudgetRow | None, doing: Applying
    ) -> None:
        await work.budgets.save(row)

    async def delete(self, work: Work, row: BudgetRow, doing: Applying) -> None:
        await work.budgets.delete(row.scope_kind, row.scope_id)
        doing.after.append(lambda: doing.engine.ledger.forget(row.scope_kind, row.scope_id))
