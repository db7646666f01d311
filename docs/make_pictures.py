"""Make the README's example table and pictures: ``python docs/make_pictures.py``.

Writes sensors.csv and three sheets with every kind of picture beside this file; the report's
picture, report.png, is a screenshot of the demonstration's page.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from sklearn.ensemble import RandomForestRegressor
from sklearn.frozen import FrozenEstimator

from sklexplain import (
    LIME,
    DeepSHAP,
    GRURegressor,
    KernelSHAP,
    PermutationImportance,
    make_windows,
    plot,
)

HERE = Path(__file__).parent
UNIT = "°C"
_N_COLORS = 255


def sensors(n_rows: int = 300, seed: int = 0) -> pd.DataFrame:
    """Return readings of a machine that is heated by its load, the more so in damp air.

    It keeps some of its heat from step to step. A vibration that does nothing is there too.
    """
    rng = np.random.default_rng(seed)
    load = 10 + 5 * np.sin(np.arange(n_rows) / 8) + rng.normal(size=n_rows)
    humidity = np.clip(50 + 12 * rng.normal(size=n_rows), 10, 90)
    vibration = rng.gamma(2, 0.4, size=n_rows)
    temperature = np.full(n_rows, 20.0)
    for t in range(1, n_rows):
        heated = 0.9 * load[t - 1] * (humidity[t - 1] / 50) ** 1.5
        temperature[t] = 0.45 * temperature[t - 1] + heated + 0.3 * rng.normal()
    columns = {
        "temperature": temperature, "load": load, "humidity": humidity, "vibration": vibration,
    }  # fmt: skip
    dates = pd.date_range("2024-01-01", periods=n_rows, freq="6h", name="date")
    return pd.DataFrame(columns, index=dates).round(2)


def sheet(name: str, size: tuple[float, float], pictures: list) -> None:
    """Write several pictures side by side as one small PNG.

    Parameters
    ----------
    name : str
    size : (width, height)
        Inches.
    pictures : list of (explanation, params)
        Of :func:`plot`; the kind is each one's title.
    """
    with style.context(["default", {"font.size": 9}]):
        figure = Figure(figsize=size, dpi=100, layout="constrained")
        FigureCanvasAgg(figure)
        n_columns = 2
        parts = figure.subfigures(-(-len(pictures) // n_columns), n_columns).ravel()
        for part, (explanation, params) in zip(parts, pictures, strict=False):
            plot(explanation, ax=part.add_subplot(), title=f'kind="{params["kind"]}"', **params)
        path = HERE / f"{name}.png"
        figure.savefig(path)
    with Image.open(path) as image:
        image.convert("RGB").quantize(_N_COLORS, dither=Image.Dither.NONE).save(path, optimize=True)


def main() -> None:
    """Write the table and the pictures."""
    table = sensors()
    table.to_csv(HERE / "sensors.csv")

    X, y = table.iloc[:-1], table["temperature"].to_numpy()[1:]
    forest = FrozenEstimator(RandomForestRegressor(100, min_samples_leaf=3, random_state=0))
    forest.estimator.fit(X[:220], y[:220])
    drops = PermutationImportance(forest, scoring="r2", n_repeats=20, random_state=0)
    drops = drops.fit(X[220:], y[220:]).explanation_
    shap = KernelSHAP(forest, background=50, random_state=0).fit(X[:220]).explain(X)
    lime = LIME(forest, n_samples=2000, random_state=0).fit(X[:220]).explain(X[220:])

    windows, target = make_windows(table, "temperature", window=12, horizon=1)
    net = GRURegressor(lr=0.01, random_state=0).fit(windows[:220], target[:220])
    cells = DeepSHAP(
        FrozenEstimator(net), players="cell", feature_names=list(table.columns), random_state=0
    )
    cells = cells.fit(windows[:220]).explain(windows[220:])

    # A row with strong reasons in both directions.
    row = int(np.argmax(np.minimum(shap.values.max(axis=1), -shap.values.min(axis=1))))
    unit = {"unit": UNIT}
    sheet(
        "pictures-all-rows",
        (9, 6),
        [
            (drops, {"kind": "importance"}),
            (drops, {"kind": "box"}),
            (shap, {"kind": "summary", **unit}),
            (shap, {"kind": "dependence", "player": "load", **unit}),
        ],
    )
    sheet(
        "pictures-one-row",
        (9, 5.4),
        [
            (shap, {"kind": "waterfall", "sample": row, **unit}),
            (shap, {"kind": "force", "sample": row, **unit}),
            (lime, {"kind": "local", "sample": 0, **unit}),
            (cells, {"kind": "sequence", "sample": 0, **unit}),
        ],
    )
    sheet(
        "pictures-windows-and-methods",
        (9, 3.2),
        [
            (cells, {"kind": "sequence", **unit}),
            ({"permutation": drops, "KernelSHAP": shap, "LIME": lime}, {"kind": "comparison"}),
        ],
    )


if __name__ == "__main__":
    main()
