"""A file against what is stored: what would be created, changed and deleted, without doing it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

from omniroute.catalog.names import did_you_mean
from omniroute.errors import OmniRouteError
from omniroute.operations.configuration.configuration_file.account_kinds import (
    AccountsKind,
    NodesKind,
)
from omniroute.operations.configuration.configuration_file.agent_kind import AgentsKind
from omniroute.operations.configuration.configuration_file.caller_kinds import BudgetsKind, KeysKind
from omniroute.operations.configuration.configuration_file.combo_kind import CombosKind
from omniroute.operations.configuration.configuration_file.document import Notice, dotted
from omniroute.operations.configuration.configuration_file.everything import Name, Names
from omniroute.operations.configuration.configuration_file.kind import VALUE, Kind, Reading
from omniroute.operations.configuration.configuration_file.model_kinds import (
    AliasesKind,
    CompatKind,
    MappingsKind,
    ModelsKind,
    PricesKind,
)
from omniroute.operations.configuration.configuration_file.proxy_kinds import (
    LayersKind,
    ProxiesKind,
)
from omniroute.operations.configuration.configuration_file.references import Secret
from omniroute.operations.configuration.configuration_file.settings_kinds import (
    IpFilterKind,
    ResilienceKind,
    RetentionKind,
    SettingsKind,
)

STAGES: Sequence[Sequence[Kind[Any]]] = (
    (SettingsKind(), ResilienceKind(), IpFilterKind(), RetentionKind(), NodesKind()),
    (AccountsKind(), ModelsKind(), CompatKind(), PricesKind()),
    (CombosKind(), KeysKind()),
    (AliasesKind(), MappingsKind(), BudgetsKind(), ProxiesKind(), LayersKind()),
    (AgentsKind(),),
)
"""Every section, in the order in which they may speak of one another."""

KINDS: Sequence[Kind[Any]] = tuple(kind for stage in STAGES for kind in stage)

Action = Literal["create", "update", "delete"]

_OTHERWISE = "as written, and read otherwise: a name is a combo's now, or is one no more"


class FieldChange(Struct, frozen=True, kw_only=True):
    """What becomes of one field; of a secret only that it changes."""

    field: str
    before: Any | UnsetType = UNSET
    after: Any | UnsetType = UNSET
    secret: bool = False


class Change(Struct, frozen=True, kw_only=True):
    """What becomes of one object. `line` is where the file has it."""

    action: Action
    section: str
    name: str
    line: int | None = None
    fields: tuple[FieldChange, ...] = ()


class Plan(Struct, frozen=True, kw_only=True, rename="camel"):
    """What applying a file does. `adopted` objects are as the file has them and belong to it from
    then on; `left_alone` are those that are in no file."""

    changes: list[Change]
    unchanged: int
    adopted: list[str]
    left_alone: list[str]
    warnings: list[Notice]


@dataclass(slots=True)
class Step:
    """One object that is stored or removed."""

    kind: Kind[Any]
    name: Name
    old: Any
    new: Any


@dataclass(slots=True)
class Decision:
    """A plan, and what it takes to carry it out."""

    plan: Plan
    steps: list[Step]
    owned: frozenset[Name]
    was_owned: frozenset[Name]
    made_keys: Mapping[str, str]
    generated: frozenset[str]

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to store."""
        return not self.steps and self.owned == self.was_owned


async def decide(reading: Reading) -> Decision:
    """Compare a file with what is stored.

    Raises:
        ConfigurationRefused: the file has errors; all of them are told.
    """
    known = [kind.section for kind in KINDS]
    for section in reading.document.data:
        if section not in known:
            hint = did_you_mean(section, known)
            reading.document.problem((section,), f"is not a section of this file.{hint}")
    wanted: set[Name] = set()
    for stage in STAGES:
        await reading.settle()
        for kind in stage:
            wanted |= _read(kind, reading)
    reading.document.require_sound()
    return _compared(reading, wanted)


def _read(kind: Kind[Any], reading: Reading) -> set[Name]:
    """Take one section over into what is supposed; the names it has in the file."""
    found = kind.read(reading)
    for name in kind.ambiguous(reading.stored) & found.keys():
        told = "is the name of several things that are stored; give the others another name first."
        reading.document.problem((kind.section, *name), told)
    gone = [
        row
        for name, row in kind.named(reading.supposed).items()
        if name not in found and reading.leaves(kind.section, name)
    ]
    if isinstance(kind, KeysKind):
        try:
            kind.require_deletable(reading, gone)
        except OmniRouteError as error:
            reading.document.refusals((kind.section,), error, {})
    reading.supposed = kind.placed(reading.supposed, list(found.values()), gone)
    return {(kind.section, *name) for name in found}


def _compared(reading: Reading, wanted: set[Name]) -> Decision:
    owned = reading.owned
    old_names, new_names = Names(reading.stored), Names(reading.supposed)
    changes: list[Change] = []
    steps: list[Step] = []
    left: list[str] = []
    unchanged = 0
    for kind in KINDS:
        before, after = kind.named(reading.stored), kind.named(reading.supposed)
        for name in [*after, *(one for one in before if one not in after)]:
            path = (kind.section, *name)
            old, new = before.get(name), after.get(name)
            was = None if old is None else kind.told(old, old_names, reading.stored)
            is_now = None if new is None else kind.told(new, new_names, reading.supposed)
            if old is not None and new is not None and was == is_now:
                other = kind.unwritten(old, new)
                is_now = is_now if other is None else {**(is_now or {}), other: _OTHERWISE}
            if path in wanted and was == is_now:
                unchanged += 1
            elif path in wanted or is_now is None:
                changes.append(_change(reading, kind.section, name, was, is_now))
                steps.append(Step(kind, name, old, new))
            elif path not in owned:
                left.append(dotted(path))
    adopted = [
        dotted(path)
        for path in sorted(wanted - owned)
        if path[1:] in _kind(path[0]).named(reading.stored)
    ]
    plan = Plan(
        changes=changes,
        unchanged=unchanged,
        adopted=adopted,
        left_alone=left,
        warnings=reading.document.notices(),
    )
    return Decision(
        plan, steps, frozenset(wanted), owned, reading.made_keys, frozenset(reading.generated)
    )


def _kind(section: str) -> Kind[Any]:
    return next(kind for kind in KINDS if kind.section == section)


def _change(
    reading: Reading,
    section: str,
    name: Name,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
) -> Change:
    action: Action = "create" if before is None else "delete" if after is None else "update"
    old, new = _flat(before or {}), _flat(after or {})
    fields = [
        _field(one, old.get(one, UNSET), new.get(one, UNSET))
        for one in dict.fromkeys([*old, *new])
        if action != "delete" and old.get(one, UNSET) != new.get(one, UNSET)
    ]
    return Change(
        action=action,
        section=section,
        name=dotted((section, *name)),
        line=reading.document.line((section, *name)),
        fields=tuple(fields),
    )


def _field(name: str, before: Any, after: Any) -> FieldChange:
    if holds_secret(before) or holds_secret(after):
        return FieldChange(field=name or "value", secret=True)
    return FieldChange(field=name or "value", before=before, after=after)


def holds_secret(value: Any) -> bool:
    """Whether some part of a value must not be shown."""
    if isinstance(value, Mapping):
        return any(holds_secret(one) for one in value.values())
    if isinstance(value, list | tuple):
        return any(holds_secret(one) for one in value)
    return isinstance(value, Secret)


def _flat(told: Mapping[str, Any]) -> dict[str, Any]:
    """Fields with what is one level below them, so that a change says no more than it must."""
    found: dict[str, Any] = {}
    for name, value in told.items():
        if isinstance(value, dict) and name != VALUE:
            found.update({f"{name}.{inner}": one for inner, one in value.items()})
        else:
            found[name] = value
    return found
