"""What drove one answer, step by step: from the mean output to this row's, ready to be drawn.

As the report's picture of a row has it. How it is drawn belongs to whoever shows it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from baton.showing.plots.shapley import WATERFALL_FEATURES, meaning, measure_of
from baton.words.text import counted, elide, shown

if TYPE_CHECKING:
    import pandas as pd

    from baton.evaluation.shapley import ShapValues

_LONGEST_NAME, _LONGEST_VALUE = 20, 11


@dataclass(frozen=True)
class Step:
    """What a feature adds."""

    feature: str
    value: str
    """The row's; empty where several features are one step."""
    push: float
    begin: float
    end: float


@dataclass(frozen=True)
class Waterfall:
    """From the model's mean output to that of a row."""

    output: str
    """Class whose output it is; empty where it is of a number."""
    base: float
    total: float
    unit: str
    note: str
    """What the values sum to."""
    steps: tuple[Step, ...]
    """The strongest first."""

    @property
    def facts(self) -> dict[str, Any]:
        """It, ready for JSON."""
        return asdict(self)


def waterfall(found: ShapValues, table: pd.DataFrame, output: int, unit: str = "") -> Waterfall:
    """Steps of the first row that was explained.

    Parameters
    ----------
    found : ShapValues
    table : DataFrame of shape (n_rows, ≥ n_features)
        The rows that were explained, in the user's columns.
    output : int
        Place of the class.
    unit : str
        Of the target; used if the values are in it.
    """
    values = found.values[0, :, output].astype(np.float64)
    measure = measure_of(found, values, unit)
    base, pushes = float(found.base_values[output]) * measure.factor, values * measure.factor
    order = np.argsort(-np.abs(pushes), kind="stable")
    alone = order if len(order) <= WATERFALL_FEATURES else order[: WATERFALL_FEATURES - 1]
    named = [(*_said(found.features[n], table), float(pushes[n])) for n in alone]
    if rest := len(order) - len(alone):
        others = counted(rest, "other feature")
        named.append((others, "", float(pushes[order[len(alone) :]].sum())))
    steps = tuple(_steps(named, base))
    label = elide(found.classes[output]) if found.classes else ""
    note = f"what each adds, {meaning(found)}"
    return Waterfall(label, base, base + float(pushes.sum()), measure.unit, note, steps)


def _said(feature: str, table: pd.DataFrame) -> tuple[str, str]:
    place = [str(name) for name in table.columns].index(feature)
    return elide(feature, _LONGEST_NAME), shown(table.iloc[0, place], _LONGEST_VALUE)


def _steps(named: list[tuple[str, str, float]], base: float) -> list[Step]:
    found, begin = [], base
    for feature, value, push in named:
        found.append(Step(feature, value, push, begin, begin + push))
        begin += push
    return found
