"""Conversations that go from one account to the next with a summary."""
