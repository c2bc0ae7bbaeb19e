"""What a request may cost, what is set aside for it, and what it has cost."""
