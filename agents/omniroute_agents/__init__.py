"""The skills this gateway answers as an agent: one module, one Skill each."""
