"""How well models do at kinds of work: a dated file of judgements, which operators may replace."""

from collections.abc import Mapping
from functools import cached_property, lru_cache
from importlib.resources import files
from pathlib import Path

import msgspec
from msgspec import Struct

from omniroute.errors import InvalidRequest


class Fitness(Struct, frozen=True, dict=True):
    """Scores 0-1 by a part of a model's name and by kind of work.

    `source` and `date` say whose judgement it is and how old.
    """

    source: str
    date: str
    models: Mapping[str, Mapping[str, float]]

    def score(self, model: str, task: str) -> float | None:
        """How well a model does at a task: by the longest name that fits; None when none does."""
        name = model.lower()
        for pattern in self._longest_first:
            if pattern in name:
                row = self.models[pattern]
                return row.get(task, row.get("default"))
        return None

    @cached_property
    def _longest_first(self) -> list[str]:
        return sorted(self.models, key=len, reverse=True)


@lru_cache(maxsize=1)
def shipped() -> Fitness:
    """The table that comes with the package."""
    data = files("omniroute.catalog").joinpath("data/fitness.json").read_bytes()
    return msgspec.json.decode(data, type=Fitness)


def from_file(path: Path) -> Fitness:
    """An operator's own table.

    Raises:
        InvalidRequest: the file cannot be read, or is no such table.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Fitness)
    except OSError as error:
        raise InvalidRequest(
            f"The fitness table '{path.name}' cannot be read. Check OMNIROUTE_FITNESS_FILE."
        ) from error
    except msgspec.MsgspecError as error:
        raise InvalidRequest(
            f"The fitness table '{path.name}' is not valid: {error}. It needs source, date, and "
            f"models as in docs/guides/routing.md."
        ) from error
