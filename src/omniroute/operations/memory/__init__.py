"""Memories: stored, found, listed and cleared."""
