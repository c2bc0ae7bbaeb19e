"""Saying the same in fewer characters: rules as data, and pure functions that apply them."""
