"""How a model did on new rows, once what it predicted is known; and whether that is worse.

Pure functions of arrays. Joining labels to predictions belongs in ``tasks/labelling.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from baton.evaluation import intervals, metrics
from baton.metric import Metric
from baton.terms import Kind
from baton.words.text import number

FEWEST = 30
"""Labelled rows from which it is said whether a model got worse."""


@dataclass(frozen=True)
class Held:
    """What a model showed on the rows that were held out for it."""

    metric: Metric
    """That decides."""
    value: float | None
    interval: tuple[float, float] | None
    """95 %."""


@dataclass(frozen=True)
class Judged:
    """What it showed on new rows."""

    scores: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    """95 %."""
    is_worse: bool
    """Whether the intervals of then and now lie apart, on the wrong side."""
    reason: str
    """What was found, in one line."""


def judge(
    kind: Kind, actual: Any, output: Any, classes: Sequence[Any], *, y_pred: Any, held: Held
) -> Judged:
    """Score labelled rows beside what was seen when the model was evaluated.

    Two intervals of 95 % that lie apart do so by chance in fewer than one of a hundred cases.

    Parameters
    ----------
    kind : Kind
    actual : array of shape (n,)
        Labels.
    output : array of shape (n, n_classes) or (n,)
        Probabilities, or predicted numbers.
    classes : sequence
        Of a classifier, in the order of the columns of `output`.
    y_pred : array of shape (n,) or None
        Labels that were predicted.
    held : Held
    """
    found = metrics.evaluate(kind, actual, output, classes, y_pred=y_pred)
    ends = intervals.bootstrap(kind, actual, output, classes, y_pred=y_pred)
    scores = {str(name): float(value) for name, value in found.items()}
    within = {str(name): pair for name, pair in ends.items()}
    now, name = scores.get(held.metric.value), held.metric.value
    is_worse = len(actual) >= FEWEST and _is_apart(held, within.get(name))
    return Judged(scores, within, is_worse, _reason(held, now, within.get(name), len(actual)))


def _is_apart(held: Held, now: tuple[float, float] | None) -> bool:
    if held.interval is None or now is None:
        return False
    if metrics.GREATER_IS_BETTER[held.metric]:
        return now[1] < held.interval[0]
    return now[0] > held.interval[1]


def _reason(held: Held, now: float | None, ends: tuple[float, float] | None, n_rows: int) -> str:
    name = held.metric.value
    if now is None:
        return f"{name} is not defined on {n_rows:,} labelled rows"
    found = f"{name} {number(now)}{_within(ends)} on {n_rows:,} labelled rows"
    if held.value is None:
        return found
    return f"{found}, {number(held.value)}{_within(held.interval)} when it was evaluated"


def _within(ends: tuple[float, float] | None) -> str:
    return "" if ends is None else f" ({number(ends[0])} to {number(ends[1])})"
