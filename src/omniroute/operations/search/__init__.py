"""Searching the web: the operation behind every door, its inputs and its results."""
