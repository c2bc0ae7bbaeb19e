"""What concerns models in a configuration file: additions, aliases, mappings, prices."""

from collections.abc import Collection, Iterator
from typing import Any

import msgspec
from msgspec.structs import replace

from omniroute.catalog.names import did_you_mean
from omniroute.catalog.overrides import StatedPrice
from omniroute.clock import iso
from omniroute.errors import OmniRouteError
from omniroute.operations.combos.mappings import MappingInput
from omniroute.operations.configuration.configuration_file.everything import Everything, Name, Names
from omniroute.operations.configuration.configuration_file.fields import (
    fields_of,
    read_fields,
    read_value,
    spellings,
)
from omniroute.operations.configuration.configuration_file.kind import (
    VALUE,
    Applying,
    Kind,
    Reading,
    with_rows,
)
from omniroute.operations.configuration.configuration_file.places import Path
from omniroute.operations.configuration.configuration_file.references import (
    opened_headers,
    told_headers,
)
from omniroute.operations.models.aliases import AliasInput, alias_problem
from omniroute.operations.models.custom_models import ModelChange, changed_compat, changed_model
from omniroute.operations.money.pricing import with_prices
from omniroute.routing.naming.resolve import checked_name
from omniroute.storage.database import Work
from omniroute.storage.records.configuration import Compat, CustomModel, ModelCompat, ModelMapping

_MODEL_FIELDS = ("model_name", "api_format", "supported_endpoints")
_COMPAT_FIELDS = (
    "normalize_tool_call_id",
    "preserve_openai_developer_role",
    "upstream_headers",
    "compat_by_protocol",
)
_RENAMED = {"model_name": "name", "compat_by_protocol": "by_protocol"}


class OfProvider(Kind[Any]):
    """Objects by provider and model."""

    depth = 2

    def owned_tables(self, reading: Reading) -> Iterator[tuple[Name, str, str, Any, Path]]:
        """Names, providers and models of a section, with what is said of them."""
        unknown: set[str] = set()
        for (named, model), written in reading.tables(self.section, 2):
            path: Path = (self.section, named, model)
            if named in unknown:
                continue
            provider = reading.provider(named, path[:2])
            if provider is None:
                unknown.add(named)
            elif not model.strip():
                reading.document.problem(path, "must not be blank.")
            else:
                name = reading.names.provider(provider), model.strip()
                yield name, provider, model.strip(), written, path


class ModelsKind(OfProvider):
    """Models that were added to providers."""

    section = "models"
    about = "Models added to providers, by provider and id."

    def rows(self, stored: Everything) -> Iterator[tuple[Name, CustomModel]]:
        names = Names(stored)
        for row in stored.custom_models:
            if names.knows(row.provider):
                yield (names.provider(row.provider), row.id), row

    def told(self, row: CustomModel, names: Names, stored: Everything) -> dict[str, Any]:
        return fields_of(row, "provider", "id")

    def read(self, reading: Reading) -> dict[Name, CustomModel]:
        found = {}
        hidden = set(ModelChange.__struct_fields__) - set(_MODEL_FIELDS)
        for name, provider, model, written, path in self.owned_tables(reading):
            new = read_fields(
                ModelChange,
                written,
                path,
                reading.document,
                given={"provider": provider, "model_id": model},
                renamed=_RENAMED,
                hidden=hidden,
            )
            if new is not None:
                found[name] = changed_model(CustomModel(provider=provider, id=model), new)
        return found

    def placed(
        self, stored: Everything, wanted: Collection[CustomModel], gone: Collection[CustomModel]
    ) -> Everything:
        rows = with_rows(
            {(row.provider, row.id): row for row in stored.custom_models},
            (((row.provider, row.id), row) for row in wanted),
            ((row.provider, row.id) for row in gone),
        )
        return replace(stored, custom_models=tuple(rows.values()))

    async def save(
        self, work: Work, row: CustomModel, old: CustomModel | None, doing: Applying
    ) -> None:
        await work.model_names.save_custom_model(row)

    async def delete(self, work: Work, row: CustomModel, doing: Applying) -> None:
        await work.model_names.delete_custom_model(row.provider, row.id)


class CompatInput(ModelChange, frozen=True, kw_only=True, rename="camel"):
    """What is done otherwise for a model, as a file has it."""

    is_hidden: bool = False
    aliases: tuple[str, ...] = ()


class CompatKind(OfProvider):
    """What is done otherwise for single models."""

    section = "compat"
    about = "What is done otherwise for single models, by provider and id."

    def rows(self, stored: Everything) -> Iterator[tuple[Name, ModelCompat]]:
        names = Names(stored)
        for row in stored.compat:
            if names.knows(row.provider):
                yield (names.provider(row.provider), row.id), row

    def told(self, row: ModelCompat, names: Names, stored: Everything) -> dict[str, Any]:
        said = _told(row, "provider", "id", "compat_by_protocol")
        protocols = {name: _told(one) for name, one in row.compat_by_protocol.items()}
        return {**said, **({"by_protocol": protocols} if protocols else {})}

    def read(self, reading: Reading) -> dict[Name, ModelCompat]:
        found = {}
        for name, provider, model, written, path in self.owned_tables(reading):
            new = read_fields(
                CompatInput,
                _opened(reading, written, path),
                path,
                reading.document,
                given={"provider": provider, "model_id": model},
                renamed=_RENAMED,
                hidden=(*_MODEL_FIELDS, "source"),
            )
            if new is None:
                continue
            fresh = ModelCompat(
                provider=provider, id=model, is_hidden=new.is_hidden, aliases=new.aliases
            )
            try:
                row = changed_compat(fresh, new)
            except OmniRouteError as error:
                reading.document.refusals(path, error, spellings(CompatInput, _RENAMED))
                continue
            if row.says_nothing:
                reading.document.problem(path, "says nothing; take it out.")
            else:
                found[name] = row
        return found

    def placed(
        self, stored: Everything, wanted: Collection[ModelCompat], gone: Collection[ModelCompat]
    ) -> Everything:
        rows = with_rows(
            {(row.provider, row.id): row for row in stored.compat},
            (((row.provider, row.id), row) for row in wanted),
            ((row.provider, row.id) for row in gone),
        )
        return replace(stored, compat=tuple(rows.values()))

    async def save(
        self, work: Work, row: ModelCompat, old: ModelCompat | None, doing: Applying
    ) -> None:
        await work.model_names.save_compat(row)

    async def delete(self, work: Work, row: ModelCompat, doing: Applying) -> None:
        await work.model_names.save_compat(ModelCompat(provider=row.provider, id=row.id))


def _told(row: Compat, *leave_out: str) -> dict[str, Any]:
    said = fields_of(row, *leave_out)
    if row.upstream_headers:
        said["upstream_headers"] = told_headers(row.upstream_headers)
    return said


def _opened(reading: Reading, written: Any, path: Path) -> Any:
    """A table with the references in its headers resolved, for all protocols and for each."""
    if not isinstance(written, dict):
        return written
    opened = dict(written)
    if "upstream_headers" in opened:
        where = (*path, "upstream_headers")
        opened["upstream_headers"] = opened_headers(
            reading.references, opened["upstream_headers"], where, reading.document
        )
    if isinstance(opened.get("by_protocol"), dict):
        opened["by_protocol"] = {
            name: _opened(reading, one, (*path, "by_protocol", name))
            for name, one in opened["by_protocol"].items()
        }
    return opened


class PriceOf(msgspec.Struct, frozen=True):
    """What operators state a model costs."""

    provider: str
    model: str
    price: StatedPrice


class PricesKind(OfProvider):
    """Stated prices."""

    section = "prices"
    about = "Prices in USD per million tokens, by provider and model."

    def rows(self, stored: Everything) -> Iterator[tuple[Name, PriceOf]]:
        names = Names(stored)
        for provider, models in stored.stated_prices.items():
            if names.knows(provider):
                for model, price in models.items():
                    yield (names.provider(provider), model), PriceOf(provider, model, price)

    def told(self, row: PriceOf, names: Names, stored: Everything) -> dict[str, Any]:
        return fields_of(row.price)

    def read(self, reading: Reading) -> dict[Name, PriceOf]:
        found: dict[Name, PriceOf] = {}
        for (owner, _), provider, model, written, path in self.owned_tables(reading):
            price = read_fields(StatedPrice, written, path, reading.document)
            if price is None:
                continue
            if price == StatedPrice():
                reading.document.problem(path, "states no price.")
                continue
            stated = with_prices(reading.engine, {}, {provider: {model: price}})
            name = next(iter(stated[provider]))
            found[owner, name] = PriceOf(provider, name, stated[provider][name])
        return found

    def placed(
        self, stored: Everything, wanted: Collection[PriceOf], gone: Collection[PriceOf]
    ) -> Everything:
        prices = {name: dict(models) for name, models in stored.stated_prices.items()}
        for row in gone:
            prices[row.provider].pop(row.model, None)
        for row in wanted:
            prices.setdefault(row.provider, {})[row.model] = row.price
        return replace(
            stored, stated_prices={name: models for name, models in prices.items() if models}
        )

    async def save(self, work: Work, row: PriceOf, old: PriceOf | None, doing: Applying) -> None:
        models = dict((await work.prices.stated()).get(row.provider, {}))
        await work.prices.save(row.provider, {**models, row.model: row.price})

    async def delete(self, work: Work, row: PriceOf, doing: Applying) -> None:
        models = dict((await work.prices.stated()).get(row.provider, {}))
        models.pop(row.model, None)
        await work.prices.save(row.provider, models)


class AliasesKind(Kind[tuple[str, str]]):
    """Names operators made up, with what they stand for."""

    section = "aliases"
    single = True
    about = "Names of your own for models."

    def rows(self, stored: Everything) -> Iterator[tuple[Name, tuple[str, str]]]:
        for alias, target in sorted(stored.aliases.items()):
            yield (alias,), (alias, target)

    def told(self, row: tuple[str, str], names: Names, stored: Everything) -> dict[str, Any]:
        return {VALUE: row[1]}

    def read(self, reading: Reading) -> dict[Name, tuple[str, str]]:
        found: dict[Name, tuple[str, str]] = {}
        combos = set(reading.engine.snapshot.combos)
        for (written,), model in reading.tables(self.section, 1):
            path: Path = (self.section, written)
            try:
                new = msgspec.convert({"alias": written, "model": model}, AliasInput)
                alias, target = checked_name(new.alias), checked_name(new.model)
            except msgspec.ValidationError:
                reading.document.problem(path, "must stand for the name of a model, as a text.")
                continue
            except OmniRouteError as error:
                reading.document.refusals(path, error, {})
                continue
            problem = alias_problem(alias, target, combos, reading.engine.snapshot)
            if problem is not None:
                reading.document.problem(path, f"cannot be: {problem[1]}.")
            else:
                found[alias,] = alias, target
        return found

    def placed(
        self,
        stored: Everything,
        wanted: Collection[tuple[str, str]],
        gone: Collection[tuple[str, str]],
    ) -> Everything:
        return replace(
            stored, aliases=with_rows(stored.aliases, wanted, (alias for alias, _ in gone))
        )

    async def save(
        self, work: Work, row: tuple[str, str], old: tuple[str, str] | None, doing: Applying
    ) -> None:
        await work.model_names.set_alias(*row)

    async def delete(self, work: Work, row: tuple[str, str], doing: Applying) -> None:
        await work.model_names.delete_alias(row[0])


class MappingsKind(Kind[ModelMapping]):
    """Patterns of model names that stand for combos."""

    section = "mappings"
    about = "Patterns of model names (* and ?) that go to a combo."

    def rows(self, stored: Everything) -> Iterator[tuple[Name, ModelMapping]]:
        for row in stored.mappings.values():
            yield (row.pattern,), row

    def told(self, row: ModelMapping, names: Names, stored: Everything) -> dict[str, Any]:
        said = fields_of(row, "id", "pattern", "combo_id", "created_at", "updated_at")
        return {"combo": names.combos.get(row.combo_id, row.combo_id), **said}

    def read(self, reading: Reading) -> dict[Name, ModelMapping]:
        have, now = self.named(reading.stored), iso(reading.engine.now_ms())
        found: dict[Name, ModelMapping] = {}
        for (written_pattern,), written in reading.tables(self.section, 1):
            path: Path = (self.section, written_pattern)
            new = read_fields(
                MappingInput,
                written,
                path,
                reading.document,
                renamed={"combo_id": "combo"},
                hidden=("pattern",),
                given={"pattern": written_pattern},
            )
            pattern, fits = read_value(
                msgspec.structs.fields(MappingInput)[0].type,
                written_pattern.strip(),
                path,
                reading.document,
            )
            if new is None or not fits:
                continue
            combo = reading.engine.snapshot.combos.get(new.combo_id)
            if combo is None:
                hint = did_you_mean(new.combo_id, reading.engine.snapshot.combos)
                reading.document.problem(
                    (*path, "combo"), f"there is no combo '{new.combo_id}'.{hint}"
                )
                continue
            old = have.get((pattern,))
            found[pattern,] = ModelMapping(
                id=reading.engine.new_id() if old is None else old.id,
                pattern=pattern,
                combo_id=combo.id,
                priority=new.priority,
                enabled=new.enabled,
                description=new.description,
                created_at=now if old is None else old.created_at,
                updated_at=now,
            )
        return found

    def placed(
        self, stored: Everything, wanted: Collection[ModelMapping], gone: Collection[ModelMapping]
    ) -> Everything:
        rows = with_rows(
            stored.mappings, ((row.id, row) for row in wanted), (row.id for row in gone)
        )
        return replace(stored, mappings=rows)

    async def save(
        self, work: Work, row: ModelMapping, old: ModelMapping | None, doing: Applying
    ) -> None:
        await work.mappings.save(row)

    async def delete(self, work: Work, row: ModelMapping, doing: Applying) -> None:
        await work.mappings.delete(row.id)
