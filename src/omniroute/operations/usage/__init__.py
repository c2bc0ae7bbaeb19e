"""What was used, by whom, and how long it took."""
