"""Combos and the patterns that stand for them."""
