"""What stands in front of an account: its keys, its slots, its pace and what is left of it."""
