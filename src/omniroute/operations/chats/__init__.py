"""Asking models, and what is kept of their answers."""
