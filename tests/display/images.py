"""Pictures compared with reference images; ``python -m tests.display.images`` draws them anew.

A reference is a PNG in the folder beside this file. Look at each new one before committing it.
"""

import os
import sys
from pathlib import Path

import matplotlib as mpl
import pytest
from matplotlib import style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.testing.compare import compare_images
from PIL import Image

FOLDER = Path(__file__).with_name("images")
REWRITE = "SKLEXPLAIN_REWRITE_IMAGES"

# Root mean square difference of the pixels, 0 to 255. Rounding on another processor stays below,
# a bar that is 10 % too long does not: see test_reference_images.py.
TOLERANCE = 4.0

_DPI = 60
_VERSION = ".".join(mpl.__version__.split(".")[:2])
# DejaVu Sans comes with matplotlib, and without hinting it looks the same on every system.
_SETTINGS = {"font.family": "DejaVu Sans", "text.hinting": "none", "svg.hashsalt": "sklexplain"}


def save_picture(path, draw, size=(6, 4)):
    """Write what `draw` draws on the axes given to it, on a figure of `size` inches."""
    with style.context(["default", _SETTINGS]):
        figure = Figure(figsize=size, dpi=_DPI, layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure.add_subplot())
        figure.savefig(path, dpi=_DPI, metadata={"Software": f"Matplotlib {_VERSION}"})


def difference(reference, picture):
    """Return the root mean square difference of two PNG files of the same size, or None.

    None means that it is within the tolerance.
    """
    result = compare_images(str(reference), str(picture), tol=TOLERANCE, in_decorator=True)
    return None if result is None else result["rms"]


def check_picture(name, draw, folder, size=(6, 4)):
    """Compare a picture with the reference image called `name`.

    `folder` receives the picture, and the difference where there is one.
    """
    reference = FOLDER / f"{name}.png"
    if os.environ.get(REWRITE):
        FOLDER.mkdir(exist_ok=True)
        save_picture(reference, draw, size)
        return
    if not reference.exists():
        pytest.fail(f"there is no reference image {reference.name}; {_advice()}")
    with Image.open(reference) as image:
        drawn_by = image.info["Software"]
    if drawn_by != f"Matplotlib {_VERSION}":
        # Letters of other versions have other widths, which moves everything beside them.
        pytest.skip(f"reference images are drawn by {drawn_by}; this is {_VERSION}")
    picture = Path(folder) / f"{name}.png"
    save_picture(picture, draw, size)
    rms = difference(reference, picture)
    if rms is not None:
        pytest.fail(
            f"{picture} differs from the reference image by {rms:.1f} (tolerance {TOLERANCE}); "
            f"look at both, and if the new one is right, {_advice()}"
        )


def _advice():
    return "run python -m tests.display.images and look at what it changed"


if __name__ == "__main__":
    os.environ[REWRITE] = "1"
    here = Path(__file__).parent
    of_the_comparison = f"--ignore={here / 'test_reference_images.py'}"
    chosen = sys.argv[1:] or [str(here)]
    sys.exit(pytest.main(["-q", "-k", "reference", of_the_comparison, *chosen]))
