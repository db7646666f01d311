import io
import re
import time

import pytest
from rich.console import Console

from sklexplain._progress import tqdm
from sklexplain.cli.progress import Steps


@pytest.fixture
def terminal():
    """Return what is written to a terminal of 100 columns, and steps that write to it."""
    written = io.StringIO()
    steps = Steps(2)
    steps._console = Console(file=written, force_terminal=True, width=100, color_system=None)
    return written, steps


def frames(written):
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written.getvalue())
    return re.split(r"[\r\n]", plain)


def test_work_inside_a_step_moves_its_line_with_the_time_left(terminal, capsys):
    written, steps = terminal
    with steps.step("Counting [sheep]"), tqdm(total=40, desc="mine", unit="sheep") as bar:
        for _ in range(20):
            bar.update()
        assert (bar.n, bar.total) == (20, 40)
        # The line is drawn ten times a second.
        time.sleep(0.3)
    shown = frames(written)
    assert any("1/2 Counting [sheep]" in frame and " 50%" in frame for frame in shown), shown
    assert any(re.search(r"50% .* \d:\d\d min left", frame) for frame in shown)
    assert shown[-2].startswith("1/2 Counting [sheep]: ")
    # tqdm's own bar would spoil the line.
    assert capsys.readouterr() == ("", "")


def test_a_loop_over_a_bar_yields_its_items_and_ends_at_its_length(terminal):
    _, steps = terminal
    with steps.step("Looping"):
        bar = tqdm([3, 1, 2], unit="fold")
        assert list(bar) == [3, 1, 2]
        assert bar.n == bar.total == 3


def test_outside_of_a_step_bars_are_tqdms(capsys):
    steps = Steps(1, quiet=True)
    with steps.step("Quietly"):
        assert not hasattr(tqdm(total=1), "format_dict")
    with pytest.raises(ZeroDivisionError), steps.step("Failing"):
        1 / 0  # noqa: B018
    assert steps.n_done == 1
    assert list(tqdm([1, 2], disable=True)) == [1, 2]
    assert hasattr(tqdm([1], disable=True), "format_dict")
    assert capsys.readouterr().err == ""
