"""Backups: copies of the whole database as SQLite files, made, checked and loaded."""
