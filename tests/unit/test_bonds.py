"""Rows that hang together: what is held out, folds and units respect groups and time."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baton import bonds
from baton.bonds import Bonds
from baton.errors import InputError
from baton.terms import GROUP, TIME

TIMES = st.lists(st.integers(0, 12), min_size=8, max_size=120).filter(lambda t: len(set(t)) > 1)


@settings(deadline=None, max_examples=60)
@given(TIMES, st.floats(0.02, 0.98))
def test_held_out_rows_are_later_and_a_time_is_not_parted(times, part):
    """Every held-out row is later than every row to learn from, as near to the part as can be."""
    learned, held = bonds.held_apart(Bonds(times=np.array(times)), part, seed=0)
    assert (learned ^ held).all()
    assert np.array(times)[learned].max() < np.array(times)[held].min()
    sizes = [sum(t >= one for t in times) for one in sorted(set(times))[1:]]
    assert abs(held.sum() - part * len(times)) <= min(abs(n - part * len(times)) for n in sizes) + 1


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 30), min_size=40, max_size=200), st.integers(0, 5))
def test_held_out_rows_are_of_other_groups(groups, seed):
    """No group is on both sides, and neither side is empty."""
    if len(set(groups)) < 2:
        return
    learned, held = bonds.held_apart(Bonds(groups=np.array(groups)), 0.25, seed)
    assert learned.any() and held.any() and (learned ^ held).all()
    assert not set(np.array(groups)[learned]) & set(np.array(groups)[held])


@pytest.mark.parametrize("part", [0.1, 0.25, 0.3, 0.6])
def test_groups_held_out_are_near_the_part_in_rows_and_classes(part):
    """Groups of unequal sizes, each mostly of one class: rows and classes are in proportion."""
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 60, 80)
    groups = np.repeat(np.arange(80), sizes)
    classes = rng.random(len(groups)) < np.repeat(rng.random(80), sizes)
    learned, held = bonds.held_apart(Bonds(groups=groups), part, 0, classes)
    assert held.mean() == pytest.approx(part, abs=0.03)
    assert classes[held].mean() == pytest.approx(classes[learned].mean(), abs=0.05)


def test_very_many_groups_are_parted_in_no_time():
    """Chance balances a hundred thousand groups; the seed decides."""
    groups = np.arange(200_000) // 2
    first, again, other = (
        bonds.held_apart(Bonds(groups=groups), 0.25, seed)[1] for seed in (0, 0, 1)
    )
    assert first.mean() == pytest.approx(0.25, abs=0.01)
    assert (first == again).all() and (first != other).any()


def test_later_rows_of_other_groups():
    """With both, no group is on both sides, all held-out rows are later, the rest is in neither."""
    rng = np.random.default_rng(0)
    groups, times = rng.integers(0, 40, 1000), rng.integers(0, 365, 1000)
    learned, held = bonds.held_apart(Bonds(groups, times), 0.25, 0)
    assert times[learned].max() < times[held].min()
    assert not set(groups[learned]) & set(groups[held])
    assert not (learned & held).any()
    assert held.sum() > 40 and learned.sum() > 500


def test_groups_that_come_and_go_lose_no_row():
    """Where each group is on one side of the cut, with both means the same as with time."""
    times = np.arange(400)
    of_time = bonds.held_apart(Bonds(times=times), 0.25, 0)
    both = bonds.held_apart(Bonds(times // 10, times), 0.25, 0)
    assert np.array_equal(of_time, both)


@settings(deadline=None, max_examples=60)
@given(TIMES, st.integers(2, 6))
def test_folds_of_time_learn_from_what_was_before(times, n_folds):
    """Each fold scores rows later than all it learns from, each row once; folds grow."""
    values = np.array(times)
    found = bonds.folds(Bonds(times=values), n_folds, 0)
    assert 1 <= len(found) <= n_folds
    for fitted, scored in found:
        assert values[fitted].max() < values[scored].min()
    every = np.concatenate([scored for _, scored in found])
    assert len(every) == len(set(every))
    assert every.size + found[0][0].size == len(times)


def test_folds_of_time_are_scikit_learns_where_no_times_are_equal():
    """Whatever the order of the rows."""
    from sklearn.model_selection import TimeSeriesSplit

    times = np.random.default_rng(0).permutation(103)
    order = np.argsort(times)
    expected = TimeSeriesSplit(5).split(times)
    for (fitted, scored), (before, after) in zip(
        bonds.folds(Bonds(times=times), 5, 0), expected, strict=True
    ):
        assert sorted(order[before]) == fitted.tolist()
        assert sorted(order[after]) == scored.tolist()


def test_folds_of_both_keep_groups_and_time():
    """Later rows of groups that the fold did not learn from."""
    rng = np.random.default_rng(0)
    groups, times = rng.integers(0, 40, 1000), pd.date_range("2020", periods=1000).to_numpy()
    for fitted, scored in bonds.folds(Bonds(groups, times), 5, 0):
        assert times[fitted].max() < times[scored].min()
        assert not set(groups[fitted]) & set(groups[scored])


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (Bonds(times=np.zeros(9)), "rows of one time only"),
        (Bonds(groups=np.zeros(9)), "rows of one group only"),
        (Bonds(np.zeros(9), np.arange(9)), "no later row is of another group"),
    ],
)
def test_what_cannot_be_parted_is_refused(found, message):
    """The fact and the fix in one line."""
    with pytest.raises(InputError, match=message):
        bonds.held_apart(found, 0.25, 0)


def test_units_are_groups_or_runs_of_time():
    """Rows without bonds are units of their own."""
    assert bonds.NONE.units() is None and not bonds.NONE
    assert Bonds(groups=np.array(["a", None, "a"])).units().tolist() == [0, 1, 0]
    runs = Bonds(times=np.arange(1000)).units()
    assert np.bincount(runs).tolist() == [10] * 100
    tied = Bonds(times=np.repeat([3, 1, 2], 50)).units()
    assert len(set(tied)) == 3 and all(len(set(tied[i : i + 50])) == 1 for i in (0, 50, 100))


def test_bonds_are_read_from_hidden_columns():
    """Of some of the rows, or of none."""
    table = pd.DataFrame({"x": [1, 2, 3], GROUP: ["a", "b", "b"], TIME: [3, 1, 2]})
    found = bonds.bonds_of(table).take(np.array([0, 2]))
    assert found.groups.tolist() == ["a", "b"] and found.times.tolist() == [3, 2]
    assert not bonds.bonds_of(table[["x"]])
