"""Which target answers: names, plans, health, verdicts."""
