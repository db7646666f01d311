"""Every public class and function says what is wrong with its input, before a model is run."""

import re

import numpy as np
import pytest

import sklexplain
from tests.bad_input_cases import CALLS, REFUSED, TAKEN


@pytest.mark.parametrize("case", REFUSED, ids=[case.name for case in REFUSED])
def test_refused(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    CALLS.clear()
    with pytest.raises(case.error) as caught:
        case.call()
    assert type(caught.value) is case.error
    assert re.search(case.message, str(caught.value), flags=re.DOTALL)
    assert case.runs_model or not CALLS
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("case", TAKEN, ids=[case.name for case in TAKEN])
def test_taken(case):
    result, expected = case.call(), case.expected()
    if isinstance(expected, np.ndarray):
        np.testing.assert_allclose(result, expected, rtol=1e-6, atol=1e-9)
    else:
        assert result == expected


def test_the_table_is_long_and_its_names_are_unique():
    names = [case.name for case in (*REFUSED, *TAKEN)]
    assert len(names) >= 150
    assert len(set(names)) == len(names)


def test_every_public_name_is_in_the_table():
    from pathlib import Path

    text = Path(__file__).with_name("bad_input_cases.py").read_text()
    # What is made from others' results has no input of its own to check.
    given = {"__version__", "register_scorers", "trusted_types"}
    displays = {name for name in sklexplain.__all__ if name.endswith("Display")}
    results = {"CrossExplanation", "MethodComparison"}
    nets = {"GRU", "LSTM", "RNN", "FeedForward"}
    for name in set(sklexplain.__all__) - given - displays - results:
        if name.removesuffix("Regressor").removesuffix("Classifier") in nets:
            continue
        assert name in text, name
