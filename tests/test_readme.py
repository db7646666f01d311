"""The README's Python runs as printed, and what it says fails does fail with that error."""

import re
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
import torch

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


def test_links_lead_to_files():
    for target in re.findall(r"\]\(([^)]+)\)", README.read_text("utf-8")):
        assert (README.parent / target).is_file()
