"""What the demonstration's page says about its data, its model and its limits."""

from __future__ import annotations

from ..display.page import Section
from ..display.report_about import data_section, model_section, reading_section
from .demo import UNIT, WINDOW, Demo

_LIMITS = (
    "One net, from one seed, on one share and one split in time. Another seed gives somewhat "
    "other bars.",
    "Nothing here is advice on what to buy or sell.",
)


def dollars(value: float) -> str:
    """Return an amount as text."""
    return f"${value:,.2f}"


def about_data(demo: Demo) -> Section:
    """Say what the data are and how they were divided."""
    prices = demo.prices
    n_train, n_test = len(demo.train_target), len(demo.test_target)
    seen, low, high = demo.train_target, demo.test_target.min(), demo.test_target.max()
    inside = seen.min() <= low and high <= seen.max()
    ranges = (
        f"The closes of the test days, {dollars(low)} to {dollars(high)}, lie "
        + ("inside" if inside else "partly outside")
        + f" the range of those in training, {dollars(seen.min())} to {dollars(seen.max())}. "
    )
    return data_section(
        demo.explanations(),
        demo.test_windows,
        demo.test_target,
        unit=UNIT,
        paragraphs=[
            "Real daily prices of Google's share, which matplotlib installs as sample data. A "
            f"window is {WINDOW} successive days; its target is the close of the day after. The "
            "windows are divided by time, so that no test day was seen in training."
        ],
        more_facts=[
            ("From", f"{prices.index[0]:%Y-%m-%d}"),
            ("To", f"{prices.index[-1]:%Y-%m-%d}"),
            ("Rows", f"{len(prices):,} trading days"),
            ("Training", f"{n_train:,} windows, the first {n_train / (n_train + n_test):.0%}"),
            ("Test days", f"{demo.test_dates[0]:%Y-%m-%d} to {demo.test_dates[-1]:%Y-%m-%d}"),
        ],
        notes=[
            ranges + "A net that reads price levels is not to be trusted beyond the prices that it "
            "has seen."
        ],
    )


def about_model(demo: Demo) -> Section:
    """Say what the net is and how it was trained."""
    model = demo.model
    return model_section(
        model,
        paragraphs=[
            f"A GRURegressor: a GRU of {model.hidden_size} units with a linear output, which "
            "reads the window day by day in raw dollars and shares. It trained for "
            f"{model.n_iter_} epochs and kept the weights of epoch {model.best_epoch_}, where the "
            "error on the last tenth of the training windows was lowest. Its hyperparameters were "
            "chosen by that error too; those that differ from the defaults come first."
        ],
        leave_out=("callbacks", "net_params", "verbose"),
    )


def how_to_read(demo: Demo) -> Section:
    """Say what the numbers mean, and what none of them does."""
    return reading_section(demo.explanations(), paragraphs=_LIMITS)
