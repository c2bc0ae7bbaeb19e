"""Combos in a configuration file."""

from collections.abc import Collection, Iterator
from typing import Annotated, Any

from msgspec import Meta
from msgspec.structs import replace

from omniroute.catalog.names import did_you_mean
from omniroute.errors import OmniRouteError
from omniroute.operations.combos.combo_steps import StepInput, step_of
from omniroute.operations.combos.combos import ComboInput, drafted, require_sound
from omniroute.operations.combos.combos import Name as ComboName
from omniroute.operations.configuration.configuration_file.everything import Everything, Name, Names
from omniroute.operations.configuration.configuration_file.fields import (
    as_written,
    fields_of,
    read_fields,
    read_value,
    spellings,
)
from omniroute.operations.configuration.configuration_file.kind import (
    Applying,
    Kind,
    Reading,
    with_rows,
)
from omniroute.operations.configuration.configuration_file.places import Path
from omniroute.storage.database import Work
from omniroute.storage.records.configuration import Combo, ComboStep, ModelStep, Step


class ComboFields(ComboInput, frozen=True, kw_only=True):
    """A combo as a file has it."""

    is_active: bool = True
    is_hidden: bool = False
    sort_order: Annotated[int, Meta(ge=-1_000_000_000, le=1_000_000_000)] | None = None


class CombosKind(Kind[Combo]):
    """Combos by name. They may refer to each other in any order."""

    section = "combos"
    is_ordered = True
    about = "Named lists of targets that answer as one model."

    def rows(self, stored: Everything) -> Iterator[tuple[Name, Combo]]:
        for row in stored.combos.values():
            yield (row.name,), row

    def told(self, row: Combo, names: Names, stored: Everything) -> dict[str, Any]:
        combos = {one.name for one in stored.combos.values()}
        tiers = bool(row.config.get("compositeTiers"))
        steps = [
            written_step(row.name, place, step, combos, names, with_id=tiers)
            for place, step in enumerate(row.steps, start=1)
        ]
        said = fields_of(
            row,
            "id",
            "name",
            "steps",
            "strategy",
            "created_at",
            "updated_at",
            always=("sort_order",),
        )
        return {"strategy": row.strategy, "models": steps, **said}

    def read(self, reading: Reading) -> dict[Name, Combo]:
        have = self.named(reading.stored)
        tables = dict(reading.tables(self.section, 1))
        known = {name.strip() for (name,) in tables} | {
            row.name
            for row in reading.supposed.combos.values()
            if not reading.leaves(self.section, (row.name,))
        }
        last = max((row.sort_order for row in reading.supposed.combos.values()), default=0)
        found: dict[Name, Combo] = {}
        for (title,), written in tables.items():
            old = have.get((title.strip(),))
            if old is None:
                last += 1
            order = last if old is None else old.sort_order
            combo = self._one(reading, title, written, known, order)
            if combo is not None:
                kept = {} if old is None else {"id": old.id, "created_at": old.created_at}
                found[combo.name,] = replace(combo, **kept)
        self._check(reading, found)
        return found

    def _one(
        self, reading: Reading, title: str, written: Any, known: set[str], order: int
    ) -> Combo | None:
        path: Path = (self.section, title)
        name, fits = read_value(ComboName, title.strip(), path, reading.document)
        new = read_fields(
            ComboFields,
            _with_accounts(reading, written, path),
            path,
            reading.document,
            given={"name": title},
        )
        if new is None or not fits:
            return None
        wanted = order if new.sort_order is None else new.sort_order
        try:
            combo = drafted(reading.engine, new, name, known, wanted)
        except OmniRouteError as error:
            reading.document.refusals(path, error, _SPELLED)
            return None
        return replace(combo, is_active=new.is_active, is_hidden=new.is_hidden)

    def _check(self, reading: Reading, found: dict[Name, Combo]) -> None:
        """Each combo beside all others, as they will be."""
        named = {
            row.name: row
            for row in reading.supposed.combos.values()
            if not reading.leaves(self.section, (row.name,))
        }
        named.update({row.name: row for row in found.values()})
        for (name,), combo in found.items():
            path: Path = (self.section, name)
            try:
                require_sound(combo, [row for row in named.values() if row.name != name])
            except OmniRouteError as error:
                reading.document.refusals(path, error, _SPELLED)
            for place, step in enumerate(combo.steps):
                told = _dangling(reading, step, named)
                if told:
                    reading.document.notice((*path, "models", place), told)

    def placed(
        self, stored: Everything, wanted: Collection[Combo], gone: Collection[Combo]
    ) -> Everything:
        left = {row.id for row in gone}
        combos = with_rows(stored.combos, ((row.id, row) for row in wanted), left)
        mappings = {id_: row for id_, row in stored.mappings.items() if row.combo_id not in left}
        return replace(stored, combos=combos, mappings=mappings)

    def unwritten(self, old: Combo, new: Combo) -> str | None:
        """A name may have been a combo's and be a model's now, or the other way round."""
        kinds = [[type(step) for step in combo.steps] for combo in (old, new)]
        return "models" if kinds[0] != kinds[1] else None

    async def save(self, work: Work, row: Combo, old: Combo | None, doing: Applying) -> None:
        await work.combos.save(row)

    async def delete(self, work: Work, row: Combo, doing: Applying) -> None:
        await work.combos.delete(row.id)


_SPELLED = {**spellings(ComboFields), "steps": "models"}


def written_step(
    combo: str, place: int, step: Step, combos: set[str], names: Names, *, with_id: bool
) -> str | dict[str, Any]:
    """A step as briefly as it can be written: read again, it is the same."""
    if isinstance(step, ComboStep):
        brief: str = step.combo_name
        table: dict[str, Any] = {"kind": "combo-ref", "combo_name": step.combo_name}
        plain = StepInput(kind="combo-ref", combo_name=step.combo_name)
    else:
        brief, table = step.model, {"model": step.model}
        pinned = names.accounts.get(step.connection_id or "")
        if step.connection_id is not None:
            table["account" if pinned else "connection_id"] = pinned or step.connection_id
        plain = StepInput(
            kind="model", model=step.model, provider_id=step.provider_id,
            connection_id=step.connection_id,
        )  # fmt: skip
    if not with_id and step_of(combo, place, brief, combos) == step:
        return brief
    derived = step_of(combo, place, plain, combos)
    if isinstance(step, ModelStep):
        usual = step_of(combo, place, replace(plain, kind=None, provider_id=None), combos)
        if isinstance(usual, ComboStep):
            table["kind"] = "model"
        elif usual.provider_id == step.provider_id:
            derived = usual
        if isinstance(usual, ModelStep) and usual.provider_id != step.provider_id:
            table["provider_id"] = step.provider_id
    if with_id or derived.id != step.id:
        table["id"] = step.id
    for name in ("weight", "label", "tags"):
        value = getattr(step, name, None)
        if value:
            table[name] = as_written(value)
    return table


def _with_accounts(reading: Reading, written: Any, path: Path) -> Any:
    """A table whose steps name accounts by their ids instead of their names."""
    if not isinstance(written, dict) or not isinstance(written.get("models"), list):
        return written
    steps = []
    for place, step in enumerate(written["models"]):
        if isinstance(step, dict) and isinstance(step.get("account"), str):
            where = (*path, "models", place, "account")
            named = {key: value for key, value in step.items() if key != "account"}
            step = {**named, "connection_id": reading.account(step["account"], where) or "?"}
        steps.append(step)
    return {**written, "models": steps}


def _dangling(reading: Reading, step: Step, combos: dict[str, Combo]) -> str:
    """Why a step will be skipped; empty where it will not."""
    if isinstance(step, ComboStep):
        if step.combo_name in combos:
            return ""
        hint = did_you_mean(step.combo_name, combos)
        return f"is skipped: there is no combo '{step.combo_name}'.{hint}"
    prefix, slash, _ = step.model.partition("/")
    snapshot = reading.engine.snapshot
    if not slash or snapshot.provider_named(prefix) is not None:
        return ""
    hint = did_you_mean(prefix, [*snapshot.providers, *snapshot.prefixes])
    return f"is skipped: there is no provider or node '{prefix}'.{hint}"
