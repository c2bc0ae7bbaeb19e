"""The skills this gateway answers as an agent: one module, one Skill each."""

from collections.abc import Mapping

from omniroute.engine import Engine
from omniroute.skills.skill import Skill
from omniroute_agents import (
    cost_analysis,
    health_report,
    provider_discovery,
    quota_management,
    smart_routing,
)

SKILLS: Mapping[str, Skill[Engine]] = {
    skill.id: skill
    for skill in (
        smart_routing.SKILL,
        quota_management.SKILL,
        provider_discovery.SKILL,
        cost_analysis.SKILL,
        health_report.SKILL,
    )
}
"""Every skill, in the order of the agent card."""
