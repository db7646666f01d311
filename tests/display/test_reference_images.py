"""That the comparison with reference images lets small differences pass, and wrong pictures not."""

import numpy as np
import pytest

from sklexplain import ImportanceDisplay

from . import images
from .images import TOLERANCE, check_picture, difference, save_picture

DROPS = np.array([0.5, 0.2, -0.1, -0.3])
NAMES = ("close", "volume", "open", "a noise column")


def bars(drops, names=NAMES):
    return lambda ax: ImportanceDisplay(drops, names).plot(ax, title="Drop in the score")


def test_equal_pictures_do_not_differ(tmp_path):
    for name in ("first.png", "second.png"):
        save_picture(tmp_path / name, bars(DROPS))
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()
    assert difference(tmp_path / "first.png", tmp_path / "second.png") is None


@pytest.mark.parametrize(
    ("drops", "names"),
    [
        (-DROPS, NAMES),
        (DROPS, NAMES[::-1]),
        (DROPS * [1, 0, 1, 1], NAMES),
        (DROPS * [1, 1.1, 1, 1], NAMES),
    ],
    ids=["signs swapped", "names swapped", "a bar missing", "a bar 10 % too long"],
)
def test_wrong_pictures_differ(tmp_path, drops, names):
    save_picture(tmp_path / "right.png", bars(DROPS))
    save_picture(tmp_path / "wrong.png", bars(drops, names))
    assert difference(tmp_path / "right.png", tmp_path / "wrong.png") > TOLERANCE


def test_what_no_eye_could_see_does_not_differ(tmp_path):
    save_picture(tmp_path / "right.png", bars(DROPS))
    save_picture(tmp_path / "rounded.png", bars(DROPS * (1 + 1e-4)))
    assert difference(tmp_path / "right.png", tmp_path / "rounded.png") is None


def test_another_version_of_matplotlib_skips(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "FOLDER", tmp_path)
    monkeypatch.delenv(images.REWRITE, raising=False)
    monkeypatch.setattr(images, "_VERSION", "3.0")
    save_picture(tmp_path / "old.png", bars(DROPS))
    monkeypatch.undo()
    monkeypatch.setattr(images, "FOLDER", tmp_path)
    with pytest.raises(pytest.skip.Exception, match=r"drawn by Matplotlib 3\.0"):
        check_picture("old", bars(-DROPS), tmp_path)


def test_a_missing_reference_tells_how_to_draw_it(tmp_path, monkeypatch):
    monkeypatch.delenv("SKLEXPLAIN_REWRITE_IMAGES", raising=False)
    with pytest.raises(pytest.fail.Exception, match=r"no reference image nowhere\.png.*python -m"):
        check_picture("nowhere", bars(DROPS), tmp_path)
