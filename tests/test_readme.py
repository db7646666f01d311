"""The README's code and commands run as printed, and what it says fails does fail so."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
import torch
from PIL import Image

from sklexplain.display import KINDS

README = Path(__file__).parents[1] / "README.md"


def blocks():
    """Return (code, error) pairs; the error is the text block that follows directly, or None."""
    pattern = r"```python\n(.*?)```\n(?:\n```text\n(.*?)\n```\n)?"
    return re.findall(pattern, README.read_text("utf-8"), flags=re.DOTALL)


def test_the_readme_shows_both_targets_and_what_fails_today():
    text = README.read_text("utf-8")
    assert "make demo" in text
    assert "make test" in text
    assert sum(bool(error) for _, error in blocks()) == 5


@pytest.fixture
def one_thread():
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


@pytest.mark.usefixtures("one_thread")
def test_code_runs_as_printed_and_fails_as_printed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plt.switch_backend("agg")
    namespace = {}
    for code, error in blocks():
        compiled = compile(code, str(README), "exec")
        if error:
            name, message = error.split(": ", 1)
            with pytest.raises(Exception, match=re.escape(message)) as raised:
                exec(compiled, namespace)
            assert raised.type.__name__ == name
        else:
            exec(compiled, namespace)
    plt.close("all")
    assert (tmp_path / "importance.png").stat().st_size > 0


def table_in(text):
    """Return the rows of numbers in a table that the command prints."""
    rows = re.findall(r"│ (.+?) +│ +(-?[\d.]+) │ +(-?[\d.]+) │", text)
    return {name: [float(number) for number in numbers] for name, *numbers in rows}


def test_commands_run_as_printed_and_print_these_scores(tmp_path):
    pattern = r"```sh\n(sklexplain .*?)```\n(?:\n```text\n(.*?)\n```\n)?"
    commands = re.findall(pattern, README.read_text("utf-8"), flags=re.DOTALL)
    assert [command.split()[1] for command, _ in commands] == ["explain", "plot"]
    (tmp_path / "docs").mkdir()
    shutil.copy(README.parent / "docs" / "sensors.csv", tmp_path / "docs")
    paths = [str(Path(sys.executable).parent), os.environ["PATH"]]
    environment = {**os.environ, "PATH": os.pathsep.join(paths), "PYTHONIOENCODING": "utf-8"}
    for command, printed in commands:
        done = subprocess.run(
            command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True,
            encoding="utf-8",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        if printed:
            told, found = table_in(printed), table_in(done.stdout)
            net = told.pop("GRU"), found.pop("GRU")
            assert told == found
            # Another processor rounds otherwise, and training makes more of it.
            assert net[1] == pytest.approx(net[0], rel=0.1)
    folder = tmp_path / "results"
    told = README.read_text("utf-8").split("`results` then holds")[1].split("`--group")[0]
    assert {path.name for path in folder.iterdir()} == set(re.findall(r"`(\w+\.\w+)`", told))
    with Image.open(tmp_path / "why.png") as picture:
        assert min(picture.size) > 300


def test_the_table_of_pictures_names_every_kind():
    section = README.read_text("utf-8").split("## Which picture shows what")[1].split("\n## ")[0]
    rows = re.findall(r'^\| .* \| `"(\w+)"`', section, flags=re.MULTILINE)
    assert sorted(rows) == sorted(set(KINDS) - {"auto"})


def test_pictures_are_small():
    for path in README.parent.glob("docs/pictures-*.png"):
        assert path.stat().st_size <= 80_000


def test_links_lead_to_files():
    for target in re.findall(r"\]\(([^)]+)\)", README.read_text("utf-8")):
        assert (README.parent / target).is_file()
