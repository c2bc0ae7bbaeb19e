"""Who asks: keys and what they may do, how often, and in which session."""
