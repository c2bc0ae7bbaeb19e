"""Agents made by configuration: a model or combo, a system prompt and a set of tools."""
