"""Models that stand in for others, by kind of work: a dated file, which settings replace."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib.resources import files

import msgspec
from msgspec import Struct


class Substitutes(Struct, frozen=True):
    """`tasks` names a model by kind of task, `background` a cheaper one by model, and each of
    `families` are models that can stand in for one another, newest first.

    `source` and `date` say whose judgement it is and how old.
    """

    source: str
    date: str
    tasks: Mapping[str, str]
    background: Mapping[str, str]
    families: tuple[tuple[str, ...], ...]


@lru_cache(maxsize=1)
def shipped_substitutes() -> Substitutes:
    """The table that comes with the package."""
    data = files("omniroute.catalog").joinpath("data/substitutes.json").read_bytes()
    return msgspec.json.decode(data, type=Substitutes)


def relatives(model: str, families: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """Models that can stand in for one, the nearest first; of equals the newer."""
    for family in families:
        if model in family:
            place = family.index(model)
            others = [(abs(at - place), at, one) for at, one in enumerate(family) if at != place]
            return tuple(one for _, _, one in sorted(others))
    return ()
