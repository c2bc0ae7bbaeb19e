"""Skills and executions come out as they went in, on both databases."""

from typing import Any

import pytest
from msgspec.structs import replace

from omniroute.errors import Conflict
from omniroute.storage.database import Database
from omniroute.storage.records.skills import Skill, SkillExecution, SkillFilter

pytestmark = pytest.mark.anyio

SKILL = Skill(
    id="s1",
    api_key_id="k1",
    name="weather",
    version="1.0.0",
    description="Tells the weather",
    schema={"input": {"type": "object"}, "output": {}},
    handler="http_request",
    enabled=True,
    mode="auto",
    source_provider="local",
    tags=("sky", "air"),
    install_count=3,
    created_at_ms=1,
    updated_at_ms=2,
)
NEWER = replace(SKILL, id="s2", version="1.1.0", tags=(), mode="off", enabled=False)
SHARED = replace(SKILL, id="s3", api_key_id="system", name="files", source_provider=None)
BOUGHT = replace(SHARED, id="s4", api_key_id="skillsmp", source_provider="skillsmp")
EXECUTION = SkillExecution(
    id="e1",
    skill_id="s1",
    api_key_id="k1",
    session_id="",
    input={"a": 1},
    output=None,
    status="pending",
    error_message=None,
    duration_ms=None,
    holder="p1",
    created_at_ms=1,
)


@pytest.fixture
async def filled(database: Database) -> Database:
    async with database.work() as work:
        for one in (SKILL, NEWER, SHARED, BOUGHT):
            await work.skills.add(one)
    return database


FOUND: dict[str, tuple[SkillFilter, list[Skill]]] = {
    "all": (SkillFilter(), [BOUGHT, SHARED, SKILL, NEWER]),
    "of owners": (SkillFilter(owners=("k1", "skillsmp")), [BOUGHT, SKILL, NEWER]),
    "of nobody": (SkillFilter(owners=()), []),
    "by a part of the name": (SkillFilter(name="EATH"), [SKILL, NEWER]),
    "by a part of the description": (SkillFilter(text="tells the"), [BOUGHT, SHARED, SKILL, NEWER]),
    "by a tag": (SkillFilter(text="Sky"), [BOUGHT, SHARED, SKILL]),
    "signs of patterns are signs": (SkillFilter(name="%"), []),
    "that are on": (SkillFilter(enabled=True), [BOUGHT, SHARED, SKILL]),
    "by mode": (SkillFilter(mode="off"), [NEWER]),
    "from here": (SkillFilter(source="local"), [SHARED, SKILL, NEWER]),
    "from elsewhere": (SkillFilter(source="skillsmp"), [BOUGHT]),
}


@pytest.mark.parametrize(("wanted", "found"), FOUND.values(), ids=FOUND)
async def test_filters(filled: Database, wanted: SkillFilter, found: list[Skill]) -> None:
    async with filled.reading() as work:
        assert await work.skills.page(wanted) == found
        assert await work.skills.page(wanted, 1, 1) == found[1:2]
        assert await work.skills.count(wanted) == len(found)


async def test_an_owner_has_a_version_once(filled: Database) -> None:
    with pytest.raises(Conflict):
        async with filled.work() as work:
            await work.skills.add(replace(SKILL, id="other"))
    async with filled.work() as work:
        await work.skills.add_missing([replace(SKILL, description="changed")])
        assert await work.skills.get("s1") == SKILL
        assert {one.id for one in await work.skills.named("weather", ("k1", "system"))} == {
            "s1",
            "s2",
        }


async def test_executions_end_once(filled: Database) -> None:
    async with filled.work() as work:
        await work.executions.add(EXECUTION)
        await work.executions.begin("e1")
        assert await work.executions.holders() == ("p1",)
        await work.executions.finish("e1", "success", output=[1], duration_ms=5)
        await work.executions.finish("e1", "error", error_message="late")
        (found,) = await work.executions.page("k1", 10)
        assert await work.executions.holders() == ()
    ended: dict[str, Any] = {"status": "success", "output": [1], "duration_ms": 5, "holder": None}
    assert found == replace(EXECUTION, **ended)


async def test_what_a_process_left_is_ended(filled: Database) -> None:
    async with filled.work() as work:
        for name, holder in (("e1", "p1"), ("e2", "p1"), ("e3", "p2")):
            await work.executions.add(replace(EXECUTION, id=name, holder=holder))
        await work.executions.begin("e2")
        assert await work.executions.abandon(["p1"], "it stopped") == 2
        found = {one.id: one.status for one in await work.executions.page(None, 10)}
    assert found == {"e1": "error", "e2": "error", "e3": "pending"}


async def test_executions_go_with_their_skill_and_skills_with_their_key(filled: Database) -> None:
    async with filled.work() as work:
        for name, skill in (("e1", "s1"), ("e2", "s2"), ("e3", "s3")):
            await work.executions.add(replace(EXECUTION, id=name, skill_id=skill))
        assert await work.skills.delete("s1")
        assert [one.id for one in await work.executions.page(None, 10)] == ["e2", "e3"]
        await work.skills.drop_key("k1")
        assert await work.executions.count(None) == 0
        assert await work.skills.page(SkillFilter()) == [BOUGHT, SHARED]
