"""Ways to part a table."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from baton.errors import InputError
from baton.problems.splits import (
    held_out_by_chance,
    held_out_of_each,
    marked,
    shuffled,
    stratified,
)
from baton.settings import settings


@profile(deadline=None)
@given(st.lists(st.integers(0, 4), min_size=40, max_size=200), st.integers(0, 5))
def test_every_class_that_is_tested_was_trained_on(classes, seed):
    """No model is asked for a class that it never saw; every row is on one side."""
    target = pd.Series(classes)
    split = stratified(target, 0.3, seed)
    assert set(target[split == "test"]) <= set(target[split == "train"])
    assert split.notna().all()
    assert split.index.equals(target.index)


def test_a_class_of_one_row_is_trained_on():
    """It cannot be on both sides."""
    target = pd.Series(["a"] * 50 + ["b"] * 50 + ["once"])
    assert stratified(target, 0.25, 0).iloc[-1] == "train"


@pytest.mark.parametrize("test_size", [0.5, 0.9, 0.95])
def test_however_much_is_held_out_every_class_is_trained_on(test_size):
    """Two rows of a rare class are not both held out."""
    target = pd.Series(["a"] * 60 + ["b"] * 36 + ["c"] * 2 + ["d"] * 2)
    for seed in range(20):
        sides = stratified(target, test_size, seed)
        assert set(target[sides == "train"]) == set("abcd")
        assert (sides == "test").mean() == pytest.approx(test_size, abs=0.03)


@pytest.mark.parametrize("test_size", [0.98, 0.99, 0.999999])
def test_a_row_of_every_class_stays_to_learn_from(test_size):
    """Also where the part held out would leave fewer rows than there are classes."""
    for n_classes, n_rows in [(2, 10), (3, 150), (3, 6), (5, 11)]:
        target = pd.Series(np.arange(n_rows) % n_classes)
        sides = stratified(target, test_size, 0)
        assert target[sides == "train"].nunique() == n_classes
        assert (sides == "test").sum() >= n_rows - 2 * n_classes


def test_what_classes_are_called_does_not_matter():
    """Texts part as the integers do that have their order; a row without a class is trained on."""
    codes = pd.Series(np.random.default_rng(0).integers(0, 4, 200))
    texts = codes.map(dict(enumerate("abcd")))
    pd.testing.assert_series_equal(stratified(texts, 0.25, 0), stratified(codes, 0.25, 0))
    assert stratified(pd.concat([texts, pd.Series([None] * 9)]), 0.25, 0)[-9:].eq("train").all()


def test_a_decided_split_is_marked():
    """Rows keep their labels, and a side without rows is a side all the same."""
    sides = marked(pd.Index([7, 3]), np.array([False, False]))
    assert sides.to_dict() == {7: "train", 3: "train"}
    assert sides.cat.categories.tolist() == ["train", "test"]


def test_the_seed_decides():
    """The same seed parts alike, another one differently."""
    index = pd.RangeIndex(100)
    assert shuffled(index, 0.2, 1).equals(shuffled(index, 0.2, 1))
    assert not shuffled(index, 0.2, 1).equals(shuffled(index, 0.2, 2))
    assert (shuffled(index, 0.2, 1) == "test").sum() == 20


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_too_few_rows_are_refused_with_the_fix(rows):
    """One line that names the count."""
    with pytest.raises(InputError, match="too few"):
        stratified(pd.Series(["a", "b", "c"][:rows], dtype=object), 0.3, 0)


def by_scikit(target, test_size, seed):
    """Rows that scikit-learn holds out."""
    rows = np.arange(len(target))
    _, test = train_test_split(rows, test_size=test_size, random_state=seed, stratify=target)
    return np.isin(rows, test)


@pytest.mark.parametrize("n_classes", [2, 3, 7, 50])
@pytest.mark.parametrize("test_size", [0.25, 0.3, 1 / 3, 0.5])
def test_rows_held_out_are_those_of_scikit_learn(n_classes, test_size):
    """To the row, ties of remainders too, in far less memory."""
    for seed in range(5):
        random = np.random.default_rng(seed)
        codes = random.integers(0, n_classes, 1_000 + seed).astype(np.int16)
        held = held_out_of_each(codes, test_size, seed)
        assert (held == by_scikit(codes, test_size, seed)).all()


@pytest.mark.parametrize("is_fast", ["0", "1"])
def test_the_lean_way_and_scikit_learns_own_part_alike(monkeypatch, is_fast):
    """Also where rows have no class, a class is one row, or all of one would be held out."""
    monkeypatch.setenv("BATON_FAST", is_fast)
    settings.cache_clear()
    codes = np.array([0] * 60 + [1] * 36 + [2] * 2 + [3] * 2 + [4] + [-1] * 5)
    held = {size: held_out_of_each(codes, size, 3) for size in (0.3, 0.5, 0.9)}
    assert [int(found.sum()) for found in held.values()] == [30, 50, 88]
    assert [int(np.flatnonzero(found).sum()) for found in held.values()] == [1531, 2462, 4271]
    assert not any(found[100:].any() for found in held.values())
    settings.cache_clear()


@profile(deadline=None)
@given(st.integers(2, 300), st.floats(0.01, 0.9), st.integers(0, 5))
def test_rows_held_out_by_chance_are_those_of_scikit_learn(n_rows, test_size, seed):
    """To the row."""
    rows = np.arange(n_rows)
    try:
        _, test = train_test_split(rows, test_size=test_size, random_state=seed)
    except ValueError:
        with pytest.raises(InputError, match="too few"):
            held_out_by_chance(n_rows, test_size, seed)
        return
    assert (held_out_by_chance(n_rows, test_size, seed) == np.isin(rows, test)).all()
