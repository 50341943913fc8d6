"""The gate: whether a challenger takes the champion's place, and why.

Pure decisions of what was measured. Measuring it, and moving the alias, belongs in
``tasks/promotion.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from baton.evaluation import metrics
from baton.evaluation.intervals import differences
from baton.metric import Metric
from baton.terms import Kind
from baton.words.text import listed, number

N_RESAMPLES = 1000
"""Of the held-out rows, or of groups of them; fewer where there are very many rows."""


class Gate(BaseModel):
    """What a challenger must show."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    metric: Annotated[
        Metric | None, Field(description="metric that decides; by default the data set's headline")
    ] = None
    margin: Annotated[
        float, Field(ge=0, description="by how much it must be better, in the metric")
    ] = 0.0
    confidence: Annotated[
        float,
        Field(
            gt=0.5,
            lt=1,
            description="level of the interval of the difference, which must lie above the margin",
        ),
    ] = 0.95
    floor: Annotated[
        float | None,
        Field(description="value of the metric that it must reach, champion or not"),
    ] = None
    guard: Annotated[
        Metric | None, Field(description="another metric, which may not get clearly worse")
    ] = None
    allow_leak: Annotated[
        bool, Field(description="let a model through whose data have a warning of a leak")
    ] = False


@dataclass(frozen=True)
class Paired:
    """Two models on the same rows."""

    metric: str
    champion: float
    challenger: float
    gain: float
    """Above 0 where the challenger is better, whichever direction is good."""
    low: float
    """Lower end of the gain's interval."""
    high: float
    """Upper end."""
    n_rows: int

    def __str__(self) -> str:
        word = "better" if self.gain >= 0 else "worse"
        low, high = sorted((self.low, self.high) if self.gain >= 0 else (-self.high, -self.low))
        return (
            f"{self.metric} {number(self.challenger)} against {number(self.champion)}: {word} by"
            f" {number(abs(self.gain))} ({number(low)} to {number(high)})"
        )


@dataclass(frozen=True, eq=False)
class Answer:
    """What a model answers to some rows."""

    output: Any
    """Probabilities, array of shape (n, n_classes), or numbers, of shape (n,)."""
    classes: Sequence[Any] = ()
    said: Any = None
    """Labels, array of shape (n,); the most probable ones if not given."""


def paired(
    kind: Kind,
    wanted: Sequence[Metric],
    actual: Any,
    champion: Answer,
    challenger: Answer,
    *,
    weights: Any = None,
    units: Any = None,
    confidence: float = 0.95,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> dict[Metric, Paired]:
    """Compare two models on the same rows by a paired bootstrap (Efron and Tibshirani 1993).

    Parameters
    ----------
    kind : Kind
    wanted : sequence of Metric
    actual : array of shape (n,)
    champion, challenger : Answer
    weights : array of shape (n,), optional
        How much each row counts.
    units : array of shape (n,), optional
        Number of the unit that each row is of; whole units are drawn.
    confidence : float in (0, 1)
        Level of the interval.
    n_resamples : int
    seed : int

    Returns
    -------
    dict of Metric to Paired
        Without a metric that is not defined on the rows; empty where all of them are one unit.
    """
    known = [one for one in wanted if metrics.INFO[one].kind is kind]
    before, after = (_values(known, actual, one, weights) for one in (champion, challenger))
    ends = differences(
        kind,
        actual,
        (champion.output, challenger.output),
        (champion.classes, challenger.classes),
        said=(champion.said, challenger.said),
        wanted=known,
        weights=weights,
        units=units,
        n_resamples=n_resamples,
        level=confidence,
        seed=seed,
    )
    both = [one for one in known if one in before and one in after and one in ends]
    return {one: _pair(one, before[one], after[one], ends[one], len(actual)) for one in both}


def _values(
    wanted: Sequence[Metric], actual: Any, answer: Answer, weights: Any
) -> dict[Metric, float]:
    """Each metric that is defined; no other is computed."""
    found = {
        one: metrics.score(
            one, actual, answer.output, answer.classes, y_pred=answer.said, weights=weights
        )
        for one in wanted
    }
    return {one: value for one, value in found.items() if value is not None}


def _pair(
    metric: Metric, before: float, after: float, ends: tuple[float, float], n_rows: int
) -> Paired:
    """Difference of the second value to the first, above 0 where the second is better."""
    if metrics.GREATER_IS_BETTER[metric]:
        return Paired(metric.value, before, after, after - before, *ends, n_rows)
    return Paired(metric.value, before, after, before - after, -ends[1], -ends[0], n_rows)


@dataclass(frozen=True)
class Evidence:
    """What is known of a challenger when it is decided about."""

    version: int
    """Of the challenger."""
    metric: str
    """That decides."""
    value: float | None
    """The challenger's on the rows held out for it; none where it is not defined there."""
    champion: int | None = None
    """Version of the champion; none if there is none."""
    is_greater_better: bool = True
    paired: Paired | None = None
    """Both on the rows held out for the challenger."""
    earlier: Paired | None = None
    """Both on the rows held out for the champion, where those are others and still there."""
    guarded: Paired | None = None
    """Both by the metric that may not get worse."""
    leaks: tuple[str, ...] = ()
    """Warnings of a leak in the challenger's data."""
    withdrawn: str = ""
    """When and by whom this version was taken back, if it was."""
    obstacle: str = ""
    """Why the champion cannot be scored on these rows."""


@dataclass(frozen=True)
class Verdict:
    """Whether a challenger is promoted, and why, in one line."""

    is_promoted: bool
    reason: str


def decide(evidence: Evidence, gate: Gate) -> Verdict:
    """Decide about a challenger.

    Nothing that the challenger lacks is made up for by something else: no leak, the floor, the
    guard, and the difference to the champion each must hold.

    Parameters
    ----------
    evidence : Evidence
    gate : Gate

    Examples
    --------
    >>> first = Evidence(version=1, metric="accuracy", value=0.93)
    >>> decide(first, Gate()).reason
    'accuracy 0.93; there was no champion'
    >>> decide(first, Gate(floor=0.95)).reason
    'accuracy 0.93, and the floor is 0.95'
    """
    if evidence.champion == evidence.version:
        return Verdict(True, f"version {evidence.version} is the champion already")
    if said := _fault(evidence, gate):
        return Verdict(False, said)
    if evidence.champion is None:
        return Verdict(True, f"{_value(evidence)}; there was no champion")
    return _compared(evidence, gate)


def _fault(evidence: Evidence, gate: Gate) -> str:
    """Why the challenger is refused whatever the champion is; empty if it is not."""
    if evidence.withdrawn:
        return (
            f"version {evidence.version} was taken back {evidence.withdrawn}; `baton promote` with"
            f" --version {evidence.version} brings it back"
        )
    if evidence.leaks and not gate.allow_leak:
        return (
            f"its data have a warning of a leak: {listed(evidence.leaks, 3, last=', ')}; mend the"
            f" data, or `baton promote` with --version {evidence.version} if it is none"
        )
    if evidence.value is None:
        return f"{evidence.metric} is not defined on its held-out rows"
    if gate.floor is not None and _is_below(evidence.value, gate.floor, evidence):
        return f"{_value(evidence)}, and the floor is {number(gate.floor)}"
    return ""


def _is_below(value: float, floor: float, evidence: Evidence) -> bool:
    return value < floor if evidence.is_greater_better else value > floor


def _value(evidence: Evidence) -> str:
    return f"{evidence.metric} {number(evidence.value or 0.0)}"


def _compared(evidence: Evidence, gate: Gate) -> Verdict:
    """Decide by the difference to the champion."""
    if evidence.paired is None:
        why = evidence.obstacle or f"{evidence.metric} cannot be compared on so few rows"
        return Verdict(
            False,
            f"champion version {evidence.champion} cannot be compared with: {why}; `baton promote`"
            f" with --version {evidence.version} decides without it",
        )
    if evidence.guarded is not None and evidence.guarded.high < 0:
        return Verdict(False, f"the guard: {evidence.guarded}")
    if gate.guard is not None and evidence.guarded is None:
        return Verdict(False, f"the guard, {gate.guard.value}, cannot be compared on these rows")
    is_better = evidence.paired.low > gate.margin
    word = "which is above" if is_better else "which is not above"
    margin = f"the margin {number(gate.margin)}" if gate.margin else "0"
    return Verdict(is_better, f"{evidence.paired}, {word} {margin} at {gate.confidence:.0%}")
