"""Targets of a table that is read piece by piece."""

import numpy as np
import pandas as pd
import pytest

from baton.choice import facts_of
from baton.problems.splits import marked, shuffled, stratified
from baton.problems.targets import Targets
from baton.terms import Kind

VALUES = {
    "texts": pd.Series(np.random.default_rng(0).choice(["b", "a", "c"], 1_000)),
    "numbers of classes": pd.Series(np.random.default_rng(1).integers(0, 5, 1_000)),
    "some missing": pd.Series(np.random.default_rng(2).choice(["b", "a", None], 1_000)),
    "many": pd.Series(np.arange(1_000) % 90),
}


def added(kind, values):
    found = Targets(kind)
    for begin in range(0, len(values), 130):
        found.add(values.iloc[begin : begin + 130])
    return found


@pytest.mark.parametrize("name", VALUES)
def test_classes_are_held_out_as_in_memory(name):
    """The same rows, their numbers, and what they say of the metrics."""
    values = VALUES[name]
    targets = added(Kind.CLASSIFICATION, values)
    held = targets.held_out(0.3, 4)
    there = values.dropna()
    sides = stratified(there, 0.3, 4)
    assert (held[there.index] == (sides == "test")).all()
    assert targets.counts(held) == ((sides == "train").sum(), (sides == "test").sum())
    wanted = facts_of(Kind.CLASSIFICATION, there[sides == "train"], there[sides == "test"])
    assert facts_of(Kind.CLASSIFICATION, *targets.sides(held)) == wanted


@pytest.mark.parametrize("offset", [0.0, 5.0])
def test_numbers_are_held_out_as_in_memory(offset):
    """Rows without a number are on neither side, a zero is known of, and so is the range."""
    values = pd.Series(np.random.default_rng(0).integers(0, 3, 1_000) + offset)
    values[::9] = np.nan
    targets = added(Kind.REGRESSION, values)
    held = targets.held_out(0.25, 1)
    there = values.dropna()
    sides = shuffled(there.index, 0.25, 1)
    assert (held[there.index] == (sides == "test")).all()
    assert targets.counts(held) == (len(there) - held.sum(), held.sum())
    assert not held[values.isna()].any()
    wanted = facts_of(Kind.REGRESSION, there[sides == "train"], there[sides == "test"])
    assert facts_of(Kind.REGRESSION, *targets.sides(held)) == wanted
    assert marked(there.index, held[there.index]).equals(sides)
