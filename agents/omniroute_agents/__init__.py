"""The skills this gateway answers as an agent: one module, one Skill each."""

from collections.abc import Mapping

from omniroute.engine import Engine
from omniroute.skills.skill import Skill
from omniroute_agents import health_report, smart_routing

SKILLS: Mapping[str, Skill[Engine]] = {
    skill.id: skill for skill in (smart_routing.SKILL, health_report.SKILL)
}
"""Every skill, in the order of the agent card."""
