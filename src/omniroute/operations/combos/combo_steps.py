"""The steps of a combo: every form an operator may write, and what they must not do. 02 §7.2."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from msgspec import Meta, Struct

from omniroute.errors import InvalidRequest, ValidationFailed
from omniroute.storage.records.configuration import Combo, ComboStep, ModelStep, Step

MAX_DEPTH = 3


class StepInput(Struct, frozen=True, kw_only=True, rename="camel"):
    """A step as written by an operator: a model, or a reference to another combo."""

    kind: Literal["model", "combo-ref"] | None = None
    model: Annotated[str, Meta(min_length=1, max_length=300)] | None = None
    combo_name: Annotated[str, Meta(min_length=1, max_length=100)] | None = None
    provider: Annotated[str, Meta(max_length=120)] | None = None
    provider_id: Annotated[str, Meta(max_length=120)] | None = None
    connection_id: Annotated[str, Meta(max_length=200)] | None = None
    id: Annotated[str, Meta(max_length=200)] | None = None
    weight: Annotated[float, Meta(ge=0, le=100)] = 0
    label: Annotated[str, Meta(max_length=200)] | None = None
    tags: Annotated[list[Annotated[str, Meta(max_length=100)]], Meta(max_length=20)] = []


StepText = Annotated[str, Meta(min_length=1, max_length=300)]


def steps_of(
    combo_name: str, written: Sequence[str | StepInput], combos: set[str]
) -> tuple[Step, ...]:
    return tuple(
        step_of(combo_name, place, entry, combos) for place, entry in enumerate(written, start=1)
    )


def step_of(combo_name: str, place: int, entry: str | StepInput, combos: set[str]) -> Step:
    """Every form an operator may write becomes a model step or a reference (02 §7.2).

    Raises:
        ValidationFailed: it names no model, or no combo where it is a reference.
    """
    step = StepInput(model=entry) if isinstance(entry, str) else entry
    provider = step.provider_id or step.provider
    referred = step.combo_name if step.kind == "combo-ref" else None
    if step.kind is None and provider is None and step.model in {*combos, combo_name}:
        referred = step.model
    field = f"models.{place - 1}"
    if step.kind == "combo-ref" and referred is None:
        raise ValidationFailed([(f"{field}.comboName", "is required")])
    if referred is not None:
        return ComboStep(
            id=step.id or _step_id(combo_name, "ref", place, referred),
            combo_name=referred,
            weight=step.weight,
            label=step.label,
        )
    if not step.model:
        raise ValidationFailed([(f"{field}.model", "is required")])
    model = f"{provider}/{step.model}" if provider and "/" not in step.model else step.model
    target = f"{model}-{step.connection_id}" if step.connection_id else model
    return ModelStep(
        id=step.id or _step_id(combo_name, "model", place, target),
        model=model,
        provider_id=provider or (model.split("/", 1)[0] if "/" in model else None),
        connection_id=step.connection_id,
        weight=step.weight,
        label=step.label,
        tags=tuple(step.tags),
    )


def _step_id(combo_name: str, kind: str, place: int, target: str) -> str:
    return f"{_slug(combo_name)}-{kind}-{place}-{_slug(target)}"[:200]


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def require_no_cycle(combo: Combo, stored: Mapping[str, Combo]) -> None:
    """Refuse references that lead back, or nest too deep.

    Raises:
        InvalidRequest: they do.
    """
    known = {**stored, combo.name: combo}

    def walk(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            raise InvalidRequest(f"Combo '{name}' refers to itself.", param="models")
        if len(path) > MAX_DEPTH:
            raise InvalidRequest(
                f"Combo '{combo.name}' nests deeper than {MAX_DEPTH} levels.", param="models"
            )
        for step in known[name].steps if name in known else ():
            if isinstance(step, ComboStep):
                walk(step.combo_name, (*path, name))

    walk(combo.name, ())
