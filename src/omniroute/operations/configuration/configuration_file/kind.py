"""What every kind of object in a configuration file can do: be read, compared, stored, removed."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Generic, TypeVar

from omniroute.caller import Caller
from omniroute.catalog.names import did_you_mean
from omniroute.engine import Engine
from omniroute.operations.configuration.configuration_file.document import Document
from omniroute.operations.configuration.configuration_file.everything import Everything, Name, Names
from omniroute.operations.configuration.configuration_file.places import Path
from omniroute.operations.configuration.configuration_file.references import References
from omniroute.storage.database import Work

RowT = TypeVar("RowT")
KeyT = TypeVar("KeyT")
ValueT = TypeVar("ValueT")

VALUE = ""
"""The one field of objects that are a single value, such as a setting."""


@dataclass(slots=True)
class Reading:
    """A file on its way to being a configuration.

    `engine` is the real one with a snapshot of what was read so far, `stored` what there is, and
    `supposed` what there will be. `made_keys` are new texts of keys, by name; those that are
    `generated` nobody knows yet. What is `owned` came from a file before and goes when it is in
    none; with `prune`, so does everything.
    """

    engine: Engine
    caller: Caller
    document: Document
    references: References
    stored: Everything
    supposed: Everything
    owned: frozenset[Name]
    prune: bool
    made_keys: dict[str, str] = field(default_factory=dict)
    generated: set[str] = field(default_factory=set)

    @property
    def names(self) -> Names:
        """What things are called, those of the file included."""
        return Names(self.supposed)

    async def settle(self) -> None:
        """Let the engine see what was read so far."""
        configuration = self.engine.configuration
        snapshot = await configuration.supposed(self.supposed)
        self.engine = replace(self.engine, configuration=configuration.seeing(snapshot))

    def leaves(self, section: str, name: Name) -> bool:
        """Whether an object goes if this file does not have it."""
        return self.prune or (section, *name) in self.owned

    def tables(self, section: str, depth: int) -> Iterator[tuple[Name, Any]]:
        """What a section says, by the keys that name an object, `depth` of them."""
        yield from self._under((section,), self.document.data.get(section, {}), depth)

    def _under(self, path: Path, written: Any, depth: int) -> Iterator[tuple[Name, Any]]:
        if depth == 0:
            yield tuple(str(one) for one in path[1:]), written
        elif not isinstance(written, dict):
            self.document.problem(path, "must be a table.")
        else:
            for name, value in written.items():
                yield from self._under((*path, name), value, depth - 1)

    def provider(self, named: str, path: Path) -> str | None:
        """The id of a provider by id, alias or prefix; an unknown one is noted."""
        snapshot = self.engine.snapshot
        found = snapshot.provider_named(named.strip())
        if found is None:
            hint = did_you_mean(named, [*snapshot.providers, *snapshot.prefixes])
            self.document.problem(path, f"is no provider or node.{hint}")
        return found

    def account(self, named: str, path: Path) -> str | None:
        """The id of an account called `provider/name`; an unknown one is noted."""
        names = self.names
        prefix, _, rest = named.partition("/")
        provider = self.engine.snapshot.provider_named(prefix)
        wanted = f"{names.provider(provider)}/{rest}" if provider is not None else named
        found = next((id_ for id_, name in names.accounts.items() if name == wanted), None)
        if found is None:
            hint = did_you_mean(named, names.accounts.values())
            self.document.problem(path, f"'{named}' is no account; write 'provider/name'.{hint}")
        return found


@dataclass(slots=True)
class Applying:
    """What is done around the transaction that stores a file.

    `after` is done once everything is stored.
    """

    engine: Engine
    made_keys: Mapping[str, str]
    after: list[Callable[[], object]] = field(default_factory=list)


class Kind(ABC, Generic[RowT]):
    """One kind of object: a section of the file, and rows of the database.

    `depth` is how many keys name an object; `single` kinds are one value each,
    and those that are `is_ordered` have an order of their own.
    """

    section: ClassVar[str]
    depth: ClassVar[int] = 1
    single: ClassVar[bool] = False
    is_ordered: ClassVar[bool] = False
    about: ClassVar[str] = ""

    @abstractmethod
    def rows(self, stored: Everything) -> Iterator[tuple[Name, RowT]]:
        """Every object a file can name, with its name."""

    @abstractmethod
    def told(self, row: RowT, names: Names, stored: Everything) -> dict[str, Any]:
        """What a file says of an object; what is as it would be anyway is left out."""

    @abstractmethod
    def read(self, reading: Reading) -> dict[Name, RowT]:
        """The objects of a file, as they are to be stored. Problems are noted."""

    @abstractmethod
    def placed(
        self, stored: Everything, wanted: Collection[RowT], gone: Collection[RowT]
    ) -> Everything:
        """What there is once some objects are stored and others removed."""

    @abstractmethod
    async def save(self, work: Work, row: RowT, old: RowT | None, doing: Applying) -> None:
        """Store an object."""

    @abstractmethod
    async def delete(self, work: Work, row: RowT, doing: Applying) -> None:
        """Remove an object."""

    def unwritten(self, old: RowT, new: RowT) -> str | None:
        """A field that is written the same and means another thing now."""
        return None

    def named(self, stored: Everything) -> dict[Name, RowT]:
        """Every object by its name; of several with one name, the first."""
        found: dict[Name, RowT] = {}
        for name, row in self.rows(stored):
            found.setdefault(name, row)
        return found

    def ambiguous(self, stored: Everything) -> set[Name]:
        """Names that several objects have: no file can speak of them."""
        counts = Counter(name for name, _ in self.rows(stored))
        return {name for name, count in counts.items() if count > 1}


def with_rows(
    rows: Mapping[KeyT, ValueT], wanted: Iterable[tuple[KeyT, ValueT]], gone: Iterable[KeyT]
) -> dict[KeyT, ValueT]:
    """Rows by key with some stored and others removed; what is there keeps its place."""
    left = set(gone)
    return {**{key: row for key, row in rows.items() if key not in left}, **dict(wanted)}
