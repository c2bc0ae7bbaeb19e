"""Backups, retention and the care of the database."""
