"""The `sklexplain` command."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; exits with 0, with 1 for a failed run, with 2 for wrong usage."""
    try:
        from .commands import app
    except ModuleNotFoundError as error:
        missing = (error.name or "").split(".")[0]
        if missing not in ("typer", "rich"):
            raise
        sys.exit(
            f"sklexplain: the command line needs {missing}, which is not installed. "
            "Run: pip install 'sklexplain[cli]'"
        )
    app()
