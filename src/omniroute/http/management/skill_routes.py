"""Tool skills as routes (02 §24.3)."""

from typing import Annotated, Any, Literal

from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta, Struct

from omniroute.http.dependencies import Operator, TheEngine
from omniroute.http.done import Done
from omniroute.http.paging import PageLimit, PageNumber, pages
from omniroute.http.problems import delete, get, post, put
from omniroute.operations.progress import silent
from omniroute.operations.skills import executions, skills
from omniroute.operations.skills.views import ExecutionView, SkillView, execution_view
from omniroute.storage.records.skills import SkillFilter, SkillMode

Text = Annotated[str | None, QueryParameter(name="q")]
OfMode = Annotated[SkillMode | None, QueryParameter(name="mode")]
OfSource = Annotated[Literal["local", "skillsmp", "skillssh"] | None, QueryParameter(name="source")]
OfKey = Annotated[str | None, QueryParameter(name="apiKeyId")]


class SkillPage(Struct, frozen=True, kw_only=True, rename="camel"):
    """A page of skills, under both names that clients read. `provider` is the marketplace in use
    and `popular_defaults` what it recommends: there is none."""

    data: list[SkillView]
    skills: list[SkillView]
    total: int
    page: int
    limit: int
    total_pages: int
    provider: str | None = None
    popular_defaults: list[str] = []


class ExecutionPage(Struct, frozen=True, kw_only=True, rename="camel"):
    """A page of executions, newest first."""

    data: list[ExecutionView]
    total: int
    page: int
    limit: int
    total_pages: int


class OneSkill(Struct, frozen=True):
    """One skill."""

    skill: SkillView


class Installed(Struct, frozen=True, kw_only=True):
    """The id of the skill that was added."""

    success: bool = True
    id: str


class Changed(Struct, frozen=True, kw_only=True):
    """The skill as it is now."""

    success: bool = True
    enabled: bool
    mode: SkillMode
    skill: SkillView


class RunInput(Struct, frozen=True, kw_only=True, rename="camel"):
    """A skill to execute, by name or name@version, and for which key."""

    skill_name: Annotated[str, Meta(min_length=1, max_length=200)]
    api_key_id: skills.Owner
    input: dict[str, Any] = {}
    session_id: Annotated[str, Meta(max_length=200)] = ""


class Executed(Struct, frozen=True):
    """What came of it."""

    execution: ExecutionView


@get("/api/skills", tags=["Skills"], operation_id="list_skills")
async def list_skills(
    engine: TheEngine,
    operator: Operator,
    text: Text = None,
    mode: OfMode = None,
    source: OfSource = None,
    page: PageNumber = 1,
    limit: PageLimit = 50,
) -> SkillPage:
    """Skills of all keys by name; `q` is a part of the name, the description or the tags."""
    wanted = SkillFilter(text=text, mode=mode, source=source)
    found, total = await skills.skills_page(engine, operator, wanted, limit, (page - 1) * limit)
    return SkillPage(
        data=found,
        skills=found,
        total=total,
        page=page,
        limit=limit,
        total_pages=pages(total, limit),
    )


@post("/api/skills/install", tags=["Skills"], operation_id="install_skill", status_code=200)
async def install_skill(
    engine: TheEngine, operator: Operator, data: JSONBody[skills.SkillManifest]
) -> Installed:
    """Add a version of a skill over a built-in tool; it is switched on."""
    return Installed(id=(await skills.install_skill(engine, operator, data)).id)


@get("/api/skills/executions", tags=["Skills"], operation_id="list_skill_executions")
async def list_executions(
    engine: TheEngine,
    operator: Operator,
    api_key_id: OfKey = None,
    page: PageNumber = 1,
    limit: PageLimit = 50,
) -> ExecutionPage:
    """Executions of all keys, newest first."""
    start = (page - 1) * limit
    found, total = await executions.executions_page(engine, operator, api_key_id, limit, start)
    return ExecutionPage(
        data=found, total=total, page=page, limit=limit, total_pages=pages(total, limit)
    )


@post("/api/skills/executions", tags=["Skills"], operation_id="execute_skill", status_code=200)
async def execute_skill(
    engine: TheEngine, operator: Operator, data: JSONBody[RunInput]
) -> Executed:
    """Execute a skill and wait for its end; its failure is in the answer."""
    run = executions.SkillRun(
        api_key_id=data.api_key_id,
        skill_name=data.skill_name,
        input=data.input,
        session_id=data.session_id,
    )
    return Executed(execution_view(await executions.execute(engine, operator, run, silent)))


@get("/api/skills/{skill_id:str}", tags=["Skills"], operation_id="get_skill")
async def get_skill(engine: TheEngine, operator: Operator, skill_id: FromPath[str]) -> OneSkill:
    """One skill."""
    return OneSkill(await skills.get_skill(engine, operator, skill_id))


@put("/api/skills/{skill_id:str}", tags=["Skills"], operation_id="change_skill")
async def change_skill(
    engine: TheEngine,
    operator: Operator,
    skill_id: FromPath[str],
    data: JSONBody[skills.SkillChange],
) -> Changed:
    """Change what is named; `enabled` and `mode` move together."""
    found = await skills.change_skill(engine, operator, skill_id, data)
    return Changed(enabled=found.enabled, mode=found.mode, skill=found)


@delete("/api/skills/{skill_id:str}", tags=["Skills"], operation_id="delete_skill", status_code=200)
async def delete_skill(engine: TheEngine, operator: Operator, skill_id: FromPath[str]) -> Done:
    """Delete a skill with its executions."""
    await skills.delete_skill(engine, operator, skill_id)
    return Done()


SKILL_ROUTES: tuple[HTTPRouteHandler, ...] = (
    list_skills,
    install_skill,
    list_executions,
    execute_skill,
    get_skill,
    change_skill,
    delete_skill,
)
"""Every route about tool skills."""
