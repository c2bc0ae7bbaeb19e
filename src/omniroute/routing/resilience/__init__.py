"""How failures are judged and what follows from them: verdicts, health, rests, profiles."""
