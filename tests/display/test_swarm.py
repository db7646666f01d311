import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from sklexplain.display.swarm import color_limits, color_shares, fitting_diameter, swarm


@given(seed=st.integers(0, 999), n_points=st.integers(1, 60), spread=st.sampled_from([0.1, 1, 9]))
def test_points_of_one_column_are_symmetrical_and_do_not_touch(seed, n_points, spread):
    positions = np.random.default_rng(seed).normal(size=n_points) * spread
    offsets = swarm(positions, diameter=0.5, step=0.25, room=1e9)
    columns = np.floor((positions - positions.min()) / 0.5 + 0.5)
    for column in np.unique(columns):
        inside = np.sort(offsets[columns == column])
        assert_allclose(inside, -inside[::-1], atol=1e-12)
        assert np.all(np.diff(inside) > 0.25 - 1e-9)


@given(seed=st.integers(0, 99), n_points=st.integers(1, 500))
def test_no_point_leaves_the_room(seed, n_points):
    positions = np.random.default_rng(seed).integers(0, 3, n_points).astype(float)
    offsets = swarm(positions, diameter=0.1, step=0.2, room=0.4)
    assert np.abs(offsets).max() <= 0.4 + 1e-12


def test_points_alone_stay_in_the_middle():
    assert_allclose(swarm(np.arange(9.0), diameter=0.1, step=1, room=1), 0)
    assert len(swarm(np.empty(0), diameter=0.1, step=1, room=1)) == 0


def test_equal_points_are_spread_evenly():
    assert_allclose(np.sort(swarm(np.zeros(3), diameter=0, step=1, room=5)), [-1, 0, 1])


def test_a_far_value_does_not_take_the_colours():
    values = np.append(np.arange(100.0), 1e6)
    assert color_limits(values) == tuple(np.percentile(values, [5, 95]))
    assert color_shares(values)[-1] == 1


def test_a_rare_flag_has_both_colours():
    values = np.zeros(1000)
    values[:20] = 1
    assert color_limits(values) == (0, 1)
    values[1:20] = 0
    assert color_limits(values) == (0, 1)


@pytest.mark.parametrize("empty", [[], [np.nan, np.inf]])
def test_without_numbers_there_are_limits_still(empty):
    assert color_limits(np.array(empty)) == (0, 1)


def test_missing_values_stay_missing_and_constants_lie_in_the_middle():
    assert_allclose(color_shares(np.array([3.0, np.nan, 3.0])), [0.5, np.nan, 0.5])


def test_points_shrink_until_most_swarms_fit_and_not_below_what_can_be_seen():
    sparse, dense = np.linspace(0, 300, 60), np.linspace(0, 30, 60)
    assert fitting_diameter([sparse] * 3, width=300, room=12) == 4.5
    assert fitting_diameter([sparse, sparse, dense], width=300, room=12) == 4.5
    assert 3.3 <= fitting_diameter([sparse, dense, dense], width=300, room=12) < 4.5
    assert fitting_diameter([np.zeros(900)], width=300, room=12) == 3.3
    assert fitting_diameter([np.zeros(9000)], width=300, room=12) == 2
