"""Models that stand in for others, by kind of work: a dated file, which settings replace."""

from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files

import msgspec
from msgspec import Struct


class Substitutes(Struct, frozen=True):
    """`tasks` names a model by kind of task, `background` a cheaper one by model.

    `source` and `date` say whose judgement it is and how old.
    """

    source: str
    date: str
    tasks: Mapping[str, str]
    background: Mapping[str, str]


@lru_cache(maxsize=1)
def shipped_substitutes() -> Substitutes:
    """The table that comes with the package."""
    data = files("omniroute.catalog").joinpath("data/substitutes.json").read_bytes()
    return msgspec.json.decode(data, type=Substitutes)
