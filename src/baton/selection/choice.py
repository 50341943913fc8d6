"""Which candidates answer together, and how: decided by what they answered out of fold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from baton import models
from baton.evaluation import metrics
from baton.models import Explain, Mixing
from baton.models.mixing import mixed
from baton.selection.greedy import Answers, Grown, grow, members, parts_of
from baton.selection.paired import Difference, difference
from baton.selection.portfolio import GOOD, Candidate
from baton.terms import Kind

if TYPE_CHECKING:
    Array = np.ndarray[Any, np.dtype[Any]]

_OF_LABELS = {
    metrics.Metric.ACCURACY,
    metrics.Metric.BALANCED_ACCURACY,
    metrics.Metric.MCC,
    metrics.Metric.F1_MACRO,
}
"""Metrics of predicted labels: they move by whole rows, so that few rows choose by chance."""

_NO_MARGIN = {"random_forest", "extra_trees", "decision_tree"}
"""Families of classes that vote: their Shapley values are of probabilities."""


@dataclass(frozen=True)
class Choice:
    """Candidates that were chosen, and how good such a choice is."""

    weights: dict[str, float]
    """By name, the greatest first."""
    mixing: Mixing
    output: Array
    """Answer to every row without its part in the choice."""

    @property
    def is_even(self) -> bool:
        """Whether all weights are the same."""
        weights = list(self.weights.values())
        return max(weights) - min(weights) < 1e-9


@dataclass(frozen=True)
class Ground:
    """The rows by which is chosen."""

    kind: Kind
    metric: str
    actual: Array
    classes: tuple[Any, ...]
    units: Any = None
    """Number of the unit that each row is of; None where each is by itself."""
    weights: Any = None
    """How much each row counts; None where all count the same."""
    seed: int = 0

    @property
    def deciding(self) -> str:
        """Metric by which members are added: log loss in place of a metric of labels."""
        is_of_labels = metrics.parse(self.metric) in _OF_LABELS
        return metrics.Metric.LOG_LOSS.value if is_of_labels else self.metric

    def score(self, rows: Array, output: Array) -> float:
        """Figure of answers to some of the rows, more is better."""
        name = metrics.parse(self.deciding)
        weights = None if self.weights is None else self.weights[rows]
        found = metrics.score(name, self.actual[rows], output, self.classes, weights=weights)
        sign = 1.0 if metrics.GREATER_IS_BETTER[name] else -1.0
        return -np.inf if found is None else sign * found

    def difference(self, metric: str, first: Any, second: Any) -> Difference | None:
        """By how much the first answers are better than the second, on these rows."""
        return difference(
            metric,
            self.actual,
            first,
            second,
            self.classes,
            units=self.units,
            weights=self.weights,
            seed=self.seed,
        )


def choose_blend(
    ground: Ground, candidates: Sequence[Candidate], outputs: Mapping[str, Any]
) -> Choice:
    """Choose an ensemble that is better than `GOOD` by more than a standard error, or `GOOD`.

    Of classes, first among the candidates that have margins, whose Shapley values are exact
    together. Voting families come in, and exactness is given up, only for a gain that is more
    than noise.

    Parameters
    ----------
    ground : Ground
    candidates : sequence of Candidate
        `GOOD` among them.
    outputs : mapping of name to array
        What each answered to the rows of the ground.
    """
    found = _or_alone(ground, _chosen(ground, candidates, outputs), outputs)
    good = Choice(
        dict.fromkeys(GOOD, 1 / len(GOOD)), _exact(ground.kind), good_output(outputs, ground.kind)
    )
    gain = _difference(ground, found, good)
    is_better = gain is not None and gain.gain > gain.error
    return found if is_better and len(candidates) > len(GOOD) else good


def _or_alone(ground: Ground, found: Choice, outputs: Mapping[str, Any]) -> Choice:
    """Return the best candidate by itself, where it is better by more than noise."""
    every = np.arange(len(ground.actual))
    best = max(outputs, key=lambda name: ground.score(every, outputs[name]))
    alone = Choice({best: 1.0}, _exact(ground.kind), np.asarray(outputs[best]))
    gain = _difference(ground, alone, found)
    return alone if gain is not None and gain.is_clear else found


def _chosen(ground: Ground, candidates: Sequence[Candidate], outputs: Mapping[str, Any]) -> Choice:
    exact = [one for one in candidates if _has_margin(one) or ground.kind is Kind.REGRESSION]
    first = _grown(ground, exact, outputs, _exact(ground.kind))
    if len(exact) == len(candidates):
        return first
    other = _grown(ground, candidates, outputs, Mixing.PROBABILITIES)
    gain = _difference(ground, other, first)
    return other if gain is not None and gain.is_clear else first


def _exact(kind: Kind) -> Mixing:
    """How answers are averaged so that their Shapley values are too."""
    return Mixing.NUMBERS if kind is Kind.REGRESSION else Mixing.MARGINS


def good_output(outputs: Mapping[str, Any], kind: Kind) -> Array:
    """What `quality=good` would have answered."""
    return mixed([outputs[name] for name in GOOD], [1 / len(GOOD)] * len(GOOD), _exact(kind))


def _has_margin(candidate: Candidate) -> bool:
    is_exact = models.family(candidate.family).explain is not Explain.ANY
    return is_exact and candidate.family not in _NO_MARGIN


def _grown(
    ground: Ground, candidates: Sequence[Candidate], outputs: Mapping[str, Any], mixing: Mixing
) -> Choice:
    names = [one.name for one in candidates]
    answers = Answers(
        outputs=tuple(np.asarray(outputs[name]) for name in names),
        mixing=mixing,
        start=tuple(names.index(name) for name in GOOD),
        parts=parts_of(len(ground.actual), ground.units, ground.seed),
        score=ground.score,
    )
    found: Grown = grow(answers, ground.seed)
    return Choice(members(names, found.weights), mixing, found.honest)


def _difference(ground: Ground, one: Choice, other: Choice) -> Difference | None:
    return ground.difference(ground.deciding, one.output, other.output)
