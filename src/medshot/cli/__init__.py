"""The command line: parse, call, print."""

from medshot.cli.main import app, main

__all__ = ["app", "main"]
