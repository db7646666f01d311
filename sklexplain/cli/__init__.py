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
    try:
        sys.exit(app(standalone_mode=False))
    except Exception as error:
        # Typer brings its own copy of click in some versions, so the class is told by what it has.
        if not hasattr(error, "format_message"):
            raise
        command = getattr(getattr(error, "ctx", None), "command_path", "sklexplain")
        message = " ".join(error.format_message().split()).rstrip(".")
        if len(sys.argv) == 1:
            # The help is shown already.
            sys.exit(2)
        print(f"sklexplain: {message} (see {command} --help)", file=sys.stderr)  # noqa: T201
        sys.exit(getattr(error, "exit_code", 2))
