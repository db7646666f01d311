"""Running the real command."""

import shlex
import subprocess
import sys
from pathlib import Path

COMMAND = Path(sys.executable).with_name("sklexplain")


def run(*arguments, cwd=None):
    """Run `sklexplain`; text is divided as by a shell, paths stay whole."""
    parts = [
        part
        for argument in arguments
        for part in ([str(argument)] if isinstance(argument, Path) else shlex.split(argument))
    ]
    return subprocess.run(
        [str(COMMAND), *parts],
        capture_output=True,
        text=True,
        cwd=cwd,
        encoding="utf-8",
    )


def error_line(result, code):
    """Return the only line of the error stream."""
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr
    (line,) = result.stderr.splitlines()
    assert line.startswith("sklexplain: ")
    return line
