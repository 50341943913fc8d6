"""What drove one answer, as steps from the mean output to the row's."""

import numpy as np
import pandas as pd
import pytest

from baton.evaluation.shapley import Scale, ShapValues
from baton.showing.plots.shapley import WATERFALL_FEATURES
from baton.showing.waterfall import waterfall


def test_the_steps_lead_from_the_mean_to_the_answer():
    """The strongest first, each begins where the one before ends, and their sum is the output."""
    values = np.array([[[1.0], [-3.0], [0.5]]])
    found = ShapValues(values, np.array([10.0]), ("a", "b", "c"), (), Scale.VALUE)
    drawn = waterfall(found, pd.DataFrame({"c": [7], "b": ["red"], "a": [0.5]}), 0, "kg")
    assert [(one.feature, one.value) for one in drawn.steps] == [
        *(("b", "red"), ("a", "0.5"), ("c", "7"))
    ]
    assert drawn.steps[0].begin == drawn.base == 10
    for one, following in zip(drawn.steps, drawn.steps[1:], strict=False):
        assert one.end == following.begin == one.begin + one.push
    assert drawn.steps[-1].end == drawn.total == pytest.approx(8.5)
    assert drawn.unit == "kg"


def test_the_weakest_of_many_are_one_step():
    """As in the report's picture."""
    values = np.arange(1.0, 31.0).reshape(1, 30, 1)
    names = tuple(f"f{n}" for n in range(30))
    found = ShapValues(values, np.zeros(1), names, ("no", "yes")[1:], Scale.MARGIN)
    drawn = waterfall(found, pd.DataFrame([range(30)], columns=list(names)), 0)
    assert len(drawn.steps) == WATERFALL_FEATURES
    assert drawn.steps[-1].feature == "19 other features"
    assert drawn.total == pytest.approx(values.sum())
    assert drawn.output == "yes"


def test_probabilities_are_in_points():
    """Of a hundred, as in the report."""
    found = ShapValues(np.array([[[0.25]]]), np.array([0.5]), ("a",), ("x",), Scale.PROBABILITY)
    drawn = waterfall(found, pd.DataFrame({"a": [1]}), 0)
    assert (drawn.base, drawn.total, drawn.unit) == (50, 75, "percentage points")
