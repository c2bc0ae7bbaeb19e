"""Models and their names."""
