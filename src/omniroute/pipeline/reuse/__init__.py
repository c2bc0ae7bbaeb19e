"""Answers and thinking that need not be asked for again."""
