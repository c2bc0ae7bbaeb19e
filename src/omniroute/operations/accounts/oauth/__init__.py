"""Accounts that people sign in to."""
