"""How long a graceful stop waits."""

from omniroute_agents import SKILLS

AFTER_SKILLS_S = 5.0
A2A_GRACE_S = AFTER_SKILLS_S + max(skill.time_limit_s for skill in SKILLS.values())
"""Streams of tasks may go on until the slowest of the gateway's own skills would have ended."""
