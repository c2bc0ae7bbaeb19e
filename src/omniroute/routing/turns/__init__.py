"""Whose turn it is, and which conversations stay where they are."""
