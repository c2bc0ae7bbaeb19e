"""Searching the web through configured providers."""
