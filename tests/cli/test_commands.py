"""The command itself, as a user runs it."""

import subprocess
import sys

import pytest

import sklexplain
from tests.cli.command import error_line, run
from tests.pages import Page


def run_without(*modules):
    """Run the command where modules are not installed."""
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({modules!r}))\n"
        "from sklexplain.cli import main; main()"
    )
    return subprocess.run(
        [sys.executable, "-c", code, "demo"], capture_output=True, text=True, encoding="utf-8"
    )


def test_demo_writes_a_page_and_says_where(tmp_path):
    result = run("demo --quick --out made/here", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    page = tmp_path / "made" / "here" / "report.html"
    assert result.stdout.splitlines()[-1] == f"The report is in {page}"
    assert "tomorrow is today" in result.stdout
    assert "Traceback" not in result.stderr
    assert "share price" in "".join(Page(page.read_text("utf-8")).texts)
    assert [path.name for path in page.parent.iterdir()] == ["report.html"]


def test_help_and_version():
    shown = run("--help")
    assert shown.returncode == 0
    for command in ("demo", "explain", "plot"):
        assert command in shown.stdout
    assert "--out" in run("demo", "--help").stdout
    assert run("--version").stdout == f"sklexplain {sklexplain.__version__}\n"


@pytest.mark.parametrize("arguments", ["demo --nonsense", "nonsense", "demo --out", "explain"])
def test_wrong_usage_exits_with_2(arguments):
    assert error_line(run(arguments), 2).endswith(" --help)")


def test_no_command_shows_the_help():
    shown = run()
    assert shown.returncode == 2
    assert "explain" in shown.stdout + shown.stderr


@pytest.mark.parametrize("below", ["", "/deeper"])
def test_a_folder_that_cannot_be_written_is_one_line(tmp_path, below):
    file = tmp_path / "file"
    file.touch()
    result = run("demo", "--quick", "--out", f"{file}{below}")
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"sklexplain: cannot write {file}{below}/report.html: ")
    assert "--out" in line


def test_debug_shows_the_traceback(tmp_path):
    (tmp_path / "file").touch()
    result = run("demo", "--debug", "--out", str(tmp_path / "file"))
    assert result.returncode == 1
    assert "Traceback" in result.stderr


@pytest.mark.parametrize("module", ["typer", "rich"])
def test_a_missing_extra_is_one_line_that_installs_it(module):
    result = run_without(module)
    assert result.returncode == 1
    assert result.stderr.splitlines() == [
        f"sklexplain: the command line needs {module}, which is not installed. "
        "Run: pip install 'sklexplain[cli]'"
    ]
