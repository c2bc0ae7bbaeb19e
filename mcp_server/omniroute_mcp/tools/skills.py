"""Tools about tool skills."""

from omniroute.operations.skills import executions, skills
from omniroute_mcp.tools.row import MODEL_S, ToolRow, plain

TOOLS = (
    ToolRow(
        number=34,
        name="omniroute_skills_list",
        title="Skills",
        description="The registered tool skills, those of a key and those that are shared.",
        params=skills.SkillsQuery,
        result=skills.SkillsList,
        scopes=frozenset({"read:skills"}),
        phase=2,
        audit="basic",
        call=plain(skills.list_skills),
        source_endpoints=("/api/skills",),
        summary=lambda result: {"count": result["count"]},
    ),
    ToolRow(
        number=35,
        name="omniroute_skills_enable",
        title="Switch a skill",
        description="Switch a tool skill on or off.",
        params=skills.SkillToggle,
        result=skills.SkillToggled,
        scopes=frozenset({"write:skills"}),
        phase=2,
        audit="full",
        call=plain(skills.enable_skill),
        source_endpoints=("/api/skills/{id}",),
        writes=True,
    ),
    ToolRow(
        number=36,
        name="omniroute_skills_execute",
        title="Execute a skill",
        description="Execute a tool skill and wait for its end; its failure is in the answer.",
        params=executions.SkillRun,
        result=executions.Execution,
        scopes=frozenset({"execute:skills"}),
        phase=2,
        audit="full",
        call=executions.execute_skill,
        source_endpoints=("/api/skills/executions",),
        writes=True,
        idempotent=False,
        open_world=True,
        # The gateway's own limit of executions ends it first, with an answer.
        time_limit_s=MODEL_S,
        # What skills read and fetch is nobody else's business.
        summary=lambda result: {name: result[name] for name in ("id", "skillId", "status")},
    ),
    ToolRow(
        number=37,
        name="omniroute_skills_executions",
        title="Executions of skills",
        description="The newest executions of tool skills and how they ended.",
        params=executions.ExecutionsQuery,
        result=executions.ExecutionsList,
        scopes=frozenset({"read:skills"}),
        phase=2,
        audit="basic",
        call=plain(executions.list_executions),
        source_endpoints=("/api/skills/executions",),
        summary=lambda result: {"count": result["count"]},
    ),
)
