"""What is left of accounts' quotas, and what operators want done about it."""
