"""The command line: one module for each group of commands, one row for each in `root`."""

from omniroute_app.cli.root import main

__all__ = ["main"]
