"""Pointing other programs at the gateway: what they read and where, how to write and undo it."""
