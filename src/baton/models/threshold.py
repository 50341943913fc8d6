"""The probability from which on a row is said to be positive, found for a goal.

What goals there are is read in ``baton.choice``; the rows that it is found on are none that the
model learned from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from baton.choice import GoalName, ThresholdGoal, threshold_goal
from baton.words.text import number

if TYPE_CHECKING:
    Array = np.ndarray[Any, np.dtype[Any]]


class Threshold(BaseModel):
    """A threshold, and what it was chosen by."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float
    """A row whose positive class is at least so probable is positive."""
    goal: str
    """As it was asked for."""
    precision: float | None = None
    """Part of the rows said to be positive that are, out of fold; None where none is said to be."""
    recall: float | None = None
    """Part of the positive rows that are said to be, out of fold."""
    is_reached: bool = True
    """Whether the goal is reached out of fold; else it comes as near as it can."""

    def __str__(self) -> str:
        rates = {"precision": self.precision, "recall": self.recall}
        told = [f"{name} {number(one)}" for name, one in rates.items() if one is not None]
        missed = "" if self.is_reached else ", which no threshold reaches"
        return (
            f"threshold {number(self.value)} for {self.goal}{missed}; out of fold {', '.join(told)}"
        )

    def codes(self, proba: Array) -> Array:
        """Class of each row: 1 where the second one is probable enough."""
        return (proba[:, 1] >= self.value).astype(np.intp)


def found(asked: str, is_positive: Array, proba: Array, weights: Array | None = None) -> Threshold:
    """Threshold for a goal.

    Parameters
    ----------
    asked : str
        As `baton.choice.threshold_goal` reads it.
    is_positive : bool array of shape (n,)
    proba : array of shape (n,)
        Probability of the positive class.
    weights : array of shape (n,), optional
    """
    goal = threshold_goal(asked)
    if goal.name is None:
        return _stated(asked, goal.numbers[0], is_positive, proba, weights)
    ways = _Ways.of(is_positive, proba, weights)
    worth, is_reached = _worth(goal, ways)
    place = int(np.argmax(worth))
    told = _stated(asked, float(ways.values[place]), is_positive, proba, weights)
    return told.model_copy(update={"is_reached": bool(is_reached[place])})


def _stated(
    asked: str, value: float, is_positive: Array, proba: Array, weights: Array | None
) -> Threshold:
    precision, recall = precision_recall(is_positive, proba >= value, weights)
    return Threshold(value=value, goal=asked, precision=precision, recall=recall)


def precision_recall(
    is_positive: Array, said: Array, weights: Array | None = None
) -> tuple[float | None, float | None]:
    """Part of what is said to be positive that is, and of what is that is said to be."""
    counts = np.ones(len(said)) if weights is None else weights
    right = float(counts[said & is_positive].sum())
    n_said, n_positive = float(counts[said].sum()), float(counts[is_positive].sum())
    return (right / n_said if n_said else None, right / n_positive if n_positive else None)


class _Ways:
    """Every way to part rows by a threshold: from that which says all are positive to one."""

    def __init__(self, values: Array, right: Array, wrong: Array, positive: float) -> None:
        self.values, self.right, self.wrong, self.positive = values, right, wrong, positive
        self.precision = right / np.maximum(right + wrong, np.finfo(float).tiny)
        self.recall = right / max(positive, np.finfo(float).tiny)

    @classmethod
    def of(cls, is_positive: Array, proba: Array, weights: Array | None) -> _Ways:
        counts = np.ones(len(proba)) if weights is None else weights
        order = np.argsort(-proba, kind="stable")
        ordered = proba[order]
        last = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)
        right = np.cumsum((counts * is_positive)[order])[last]
        wrong = np.cumsum((counts * ~is_positive)[order])[last]
        lower = np.append(ordered[last[:-1] + 1], 0.0)
        return cls((ordered[last] + lower) / 2, right, wrong, float(right[-1]))


def _worth(goal: ThresholdGoal, ways: _Ways) -> tuple[Array, Array]:
    """Worth of each way, the most is best, and whether it reaches what the goal demands."""
    always = np.ones(len(ways.values), dtype=bool)
    match goal.name:
        case GoalName.F1:
            return 2 * ways.right / (ways.right + ways.wrong + ways.positive), always
        case GoalName.COST:
            of_wrong, of_missed = goal.numbers
            return -(of_wrong * ways.wrong + of_missed * (ways.positive - ways.right)), always
        case GoalName.RECALL:
            return _at_least(ways.precision, goal.numbers[0], ways.recall)
        case _:
            return _at_least(ways.recall, goal.numbers[0], ways.precision)


def _at_least(held: Array, least: float, wanted: Array) -> tuple[Array, Array]:
    """Most of what is wanted where the other holds; where it never does, the most of that."""
    is_reached = held >= least - 1e-12
    return (np.where(is_reached, wanted, -1.0) if is_reached.any() else held), is_reached
