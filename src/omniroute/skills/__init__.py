"""What an A2A skill is; the concrete ones live in the agents room."""
