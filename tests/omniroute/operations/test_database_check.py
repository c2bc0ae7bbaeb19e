"""What is found in a database that is not in order, and what becomes of it."""

import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from typing import Any

import pytest
from tests.support.builders import combo, reference

from omniroute.caller import SYSTEM, Caller
from omniroute.engine import Engine
from omniroute.operations.storage.backups import list_backups
from omniroute.operations.storage.database_check import CheckQuery, check_database
from omniroute.storage.database import Work

pytestmark = pytest.mark.anyio

OPERATOR = Caller(door="mcp", is_operator=True)


async def saved(engine: Engine, change: Callable[[Work], Awaitable[None]]) -> None:
    async with engine.configuration.change(SYSTEM, "test.changed") as work:
        await change(work)


async def nested_in_nothing(engine: Engine) -> None:
    """A combo one of whose steps stands for a combo that is gone."""
    await saved(engine, lambda work: work.combos.save(combo("a", "demo/echo", reference("gone"))))


async def unreadable(engine: Engine) -> None:
    """A combo with a config of nonsense."""
    await saved(engine, lambda work: work.combos.save(combo("a", "demo/echo", config={"x": 1})))


async def dangling(engine: Engine) -> None:
    """A row that points to a combo that never was."""
    with closing(sqlite3.connect(engine.data_dir / "omniroute.db")) as file:  # checks no keys
        file.execute("INSERT INTO model_combo_mappings VALUES ('m','*','gone',0,1,'','','')")
        file.commit()


BROKEN: dict[str, tuple[Callable[[Engine], Awaitable[None]], tuple[str, str], bool]] = {
    "a step for a combo that is gone": (nested_in_nothing, ("broken_reference", "combos"), True),
    "a row that points to nothing": (
        dangling,
        ("broken_reference", "model_combo_mappings"),
        True,
    ),
    "a config of nonsense": (unreadable, ("invalid_state", "combos"), False),
}


class Heard:
    """What was reported."""

    def __init__(self) -> None:
        self.steps: list[float] = []

    async def __call__(self, progress: float, message: str) -> None:
        assert message
        self.steps.append(progress)


@pytest.mark.parametrize(("harm", "issue", "mendable"), BROKEN.values(), ids=BROKEN)
async def test_what_is_broken_is_found_and_mended_after_a_backup(
    engine: Engine,
    harm: Callable[[Engine], Awaitable[None]],
    issue: tuple[str, str],
    mendable: bool,
) -> None:
    await harm(engine)
    heard = Heard()
    seen = await check_database(engine, OPERATOR, CheckQuery(), heard)
    assert [(one.type, one.table, one.count) for one in seen.issues] == [(*issue, 1)]
    assert (seen.is_healthy, seen.repaired_count, seen.backup_created) == (False, 0, False)
    assert await list_backups(engine, OPERATOR) == []
    assert heard.steps == [1, 2, 3, 4]

    mended = await check_database(engine, OPERATOR, CheckQuery(auto_repair=True), heard)
    found: Any = (mended.is_healthy, mended.repaired_count, mended.backup_created)
    assert found == (mendable, int(mendable), mendable)
    assert len(await list_backups(engine, OPERATOR)) == int(mendable)
    again = await check_database(engine, OPERATOR, CheckQuery(), heard)
    assert again.is_healthy is mendable
