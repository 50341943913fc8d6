"""What matters in a chain: the metric that decides, the positive class, the goal of a threshold.

What a user asks for is read here, and what is taken where nothing is asked. How a metric is
computed belongs in ``baton.evaluation.metrics``, how a threshold is found in
``baton.models.deciding``.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np

from baton.errors import InputError
from baton.metric import INFO, Metric, names, parse
from baton.terms import Kind
from baton.warning import DataWarning, WarningKind
from baton.words.text import did_you_mean, percent

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import pandas as pd

    from baton.terms import Options

FEW = 0.2
"""Of two classes, the part of the rows below which accuracy says little."""

_FALLBACKS = {
    Metric.ROC_AUC: Metric.LOG_LOSS,
    Metric.AVERAGE_PRECISION: Metric.LOG_LOSS,
    Metric.MCC: Metric.BALANCED_ACCURACY,
    Metric.R2: Metric.RMSE,
    Metric.MAPE: Metric.MAE,
}
"""Of each metric that some rows leave undefined, what stands closest and is always defined."""


@dataclass(frozen=True)
class Choice:
    """What decides where nothing is asked for."""

    headline: str
    """Metric that is shown first."""
    selection: str
    """Metric by which the best of several is chosen."""
    positive: Any = None
    """The positive one of two classes; None for the second one."""
    notes: tuple[str, ...] = ()


def by_default(kind: Kind, target: str, values: pd.Series) -> Choice:
    """What is sensible for a target of these values.

    Of numbers the RMSE. Of two classes of which one is rare, average precision, the rare one
    positive. Else accuracy is shown, and the log loss, which sees more, chooses.
    """
    if kind is Kind.REGRESSION:
        return Choice(Metric.RMSE, Metric.RMSE)
    counts = values.value_counts(sort=False)
    share = float(counts.min() / counts.sum())
    if len(counts) != 2 or share >= FEW:
        return Choice(Metric.ACCURACY, Metric.LOG_LOSS)
    rare = plain(counts.idxmin())
    said = (
        f"{percent(share)} of the rows are of class {str(rare)!r} of '{target}': it is the positive"
        " one, and average precision decides; -p positive=, -p metric= for another"
    )
    return Choice(Metric.AVERAGE_PRECISION, Metric.AVERAGE_PRECISION, rare, (said,))


def plain(label: Any) -> Any:
    """Return a label as JSON can carry it."""
    return label.item() if hasattr(label, "item") else label


def undefined(kind: Kind, learned: Any, held_out: Any) -> list[str]:
    """Metrics that held-out rows of these targets leave undefined."""
    if kind is Kind.REGRESSION:
        values = np.asarray(held_out, dtype=np.float64)
        gone = {Metric.R2: np.ptp(values) == 0, Metric.MAPE: not values.all()}
    else:
        present = _distinct(held_out)
        gone = {Metric.MCC: len(present) < 2}
        is_lacking = not _distinct(learned) <= present
        gone |= dict.fromkeys((Metric.ROC_AUC, Metric.AVERAGE_PRECISION), is_lacking)
    return [name.value for name, is_gone in gone.items() if is_gone]


def _distinct(values: Any) -> set[Any]:
    import pandas as pd

    return set(pd.Series(list(values) if isinstance(values, tuple) else values).unique())


def nearest(metric: str, gone: Collection[str]) -> str:
    """Return the metric itself, or what stands closest to it among those that are defined."""
    name = parse(metric)
    return (_FALLBACKS.get(name, name) if name in gone else name).value


@dataclass(frozen=True)
class Labels:
    """What is known of a target: its kind, and its classes if they are two."""

    kind: Kind
    target: str
    two: tuple[Any, ...] = ()

    def positive(self, asked: str) -> Any:
        """Label that is meant by a text.

        Raises
        ------
        InputError
            If there is none, or there are not two classes.
        """
        self.require_two("positive")
        for label in self.two:
            if str(label).lower() == asked.strip().lower():
                return label
        known = [str(label) for label in self.two]
        raise InputError(
            f"positive={asked} is no class of {self.target!r}; {did_you_mean(asked, known)}"
            f"there are: {', '.join(known)}"
        )

    def require_two(self, what: str) -> None:
        """Refuse what only two classes have.

        Raises
        ------
        InputError
            If there are not two.
        """
        if self.kind is Kind.REGRESSION:
            raise InputError(
                f"{what} is for two classes, and {self.target!r} is a number: leave it out"
            )
        if len(self.two) != 2:
            raise InputError(
                f"{what} is for two classes, and {self.target!r} has more: leave it out"
            )


def refuse_other_kind(options: Mapping[str, Any], kind: Kind) -> None:
    """Refuse what was asked for and is for another kind of target.

    Raises
    ------
    InputError
        If the metric is for the other kind, or classes are asked for where numbers are predicted.
    """
    if metric := options.get("metric"):
        name = parse(metric)
        if INFO[name].kind is not kind:
            raise InputError(
                f"metric {metric} is for a {INFO[name].kind.value}, and this is a {kind.value};"
                f" there are: {', '.join(names(kind))}"
            )
    of_classes = [one for one in ("positive", "threshold", "calibrate") if options.get(one)]
    if of_classes and kind is Kind.REGRESSION:
        raise InputError(f"{', '.join(of_classes)}: for classes, and this is a regression")


def settled(facts: Mapping[str, Any], options: Options) -> dict[str, Any]:
    """What decides in a chain: fields of its data set's event.

    Parameters
    ----------
    facts : mapping
        What :func:`facts_of` said of the data set's target, and ``goal``.
    options : Options
        What was asked for.

    Returns
    -------
    dict
        ``headline``, ``selection`` and ``positive``.

    Raises
    ------
    InputError
        If what was asked for is for another kind, or there is no such class.
    """
    goal = facts["goal"]
    of_target = facts.get("choice", {})
    kind, gone = Kind(goal["kind"]), of_target.get("undefined", [])
    refuse_other_kind(options.model_dump(), kind)
    labels = Labels(kind, goal["target"], tuple(of_target.get("two", ())))
    if options.threshold:
        labels.require_two("threshold")
    headline = options.metric or goal["headline"]
    selection = options.metric or goal.get("selection") or headline
    own = goal.get("positive")
    return {
        "headline": nearest(headline, gone),
        "selection": nearest(selection, gone),
        "positive": labels.positive(options.positive) if options.positive else own,
    }


def fallen_back(facts: Mapping[str, Any], options: Options, headline: str) -> list[DataWarning]:
    """Warn where another metric decides than the one that was asked for, or is the default."""
    asked = options.metric or facts["goal"]["headline"]
    if asked == headline:
        return []
    return [
        DataWarning(
            WarningKind.METRIC,
            (),
            f"{INFO[parse(asked)].label} is not defined on the held-out rows, so"
            f" {INFO[parse(headline)].label} decides: hold out other rows, or more of them",
        )
    ]


def facts_of(kind: Kind, learned: pd.Series, held_out: pd.Series) -> dict[str, Any]:
    """What must be known of a target to settle what decides: ready for JSON."""
    found: dict[str, Any] = {"undefined": undefined(kind, learned, held_out)}
    if kind is Kind.CLASSIFICATION:
        labels = [plain(label) for label in learned.unique()]
        found["two"] = sorted(labels) if len(labels) == 2 else []
    return found


class GoalName(StrEnum):
    """What a threshold may be tuned for."""

    F1 = "f1"
    RECALL = "recall@precision"
    PRECISION = "precision@recall"
    COST = "cost"


@dataclass(frozen=True)
class ThresholdGoal:
    """What a threshold is chosen by: a goal and its numbers, or the threshold itself."""

    name: GoalName | None
    numbers: tuple[float, ...]


_WAYS = "a number, f1, recall@precision:0.9, precision@recall:0.9 or cost:FP,FN"


def threshold_goal(asked: str) -> ThresholdGoal:
    """Read what a threshold is to be.

    Raises
    ------
    InputError
        If it cannot be read.

    Examples
    --------
    >>> threshold_goal("0.3").numbers, threshold_goal("cost:1,10").numbers
    ((0.3,), (1.0, 10.0))
    """
    name, _, rest = asked.strip().lower().partition(":")
    numbers = [_number(one) for one in re.split(r"[,\s]+", rest) if one]
    if name in set(GoalName):
        goal = GoalName(name)
        if _is_right(goal, numbers):
            return ThresholdGoal(goal, tuple(numbers))
    elif not rest and 0 < _number(name) < 1:
        return ThresholdGoal(None, (_number(name),))
    hint = did_you_mean(name, GoalName) if name not in set(GoalName) else ""
    raise InputError(f"threshold={asked} cannot be read; {hint}it may be {_WAYS}")


def _is_right(goal: GoalName, numbers: list[float]) -> bool:
    match goal:
        case GoalName.F1:
            return not numbers
        case GoalName.COST:
            return len(numbers) == 2 and all(0 < one < math.inf for one in numbers)
        case _:
            return len(numbers) == 1 and 0 < numbers[0] <= 1


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
