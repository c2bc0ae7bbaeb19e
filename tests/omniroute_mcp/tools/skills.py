"""Examples of tools about tool skills."""

from typing import Any

from tests.omniroute_mcp.tools.example import OPERATOR, Example

from omniroute.engine import Engine
from omniroute.operations.configuration.settings import change_settings

WRITE = {"apiKeyId": "me", "skillName": "file_write"}


async def switched_on(engine: Engine) -> dict[str, Any]:
    """Skills may be executed."""
    await change_settings(engine, OPERATOR, {"skillsEnabled": True})
    return {}


EXAMPLES = {
    "omniroute_skills_list": Example(
        "R I",
        works={"name": "FILE", "enabled": True},
        fails={"enabled": "yes"},
        text="Error: enabled: Expected 'bool | null', got 'str'",
        gives={"count": 2},
    ),
    "omniroute_skills_enable": Example(
        "W I",
        works={"apiKeyId": "me", "skillId": "builtin-file_read", "enabled": False},
        fails={"apiKeyId": "me", "skillId": "nobody", "enabled": False},
        text="Error: There is no skill 'nobody'; a list of skills shows the ids.",
        gives={"success": True, "skillId": "builtin-file_read", "enabled": False},
    ),
    "omniroute_skills_execute": Example(
        "W O",
        works={**WRITE, "input": {"path": "a.txt", "content": "hi"}, "sessionId": "s"},
        fails={**WRITE, "skillName": "file_writ", "input": {}},
        text="Error: There is no skill 'file_writ'. Did you mean 'file_write'?",
        before=switched_on,
        gives={"status": "success", "output": {"path": "a.txt", "bytes": 2}, "error": None},
    ),
    "omniroute_skills_executions": Example(
        "R I",
        works={"apiKeyId": "me", "limit": 5},
        fails={"limit": 101},
        text="Error: limit: Expected 'int' <= 100",
        gives={"executions": [], "count": 0},
    ),
}
