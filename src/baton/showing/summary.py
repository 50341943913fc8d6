"""What was learnt, in one paragraph of plain words: true of whatever an evaluation found.

Pure functions of findings. What else a page says belongs in ``baton.showing.builder``.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from baton.evaluation import curves, shapley
from baton.evaluation.usefulness import is_better, is_worse, telling, useless
from baton.metric import INFO, Metric
from baton.showing.report import FEW_ROWS
from baton.terms import Kind
from baton.warning import WarningKind
from baton.words.text import counted, listed, number, percent, quoted

if TYPE_CHECKING:
    import pandas as pd

    from baton.evaluation.measured import MetricLine
    from baton.showing.findings import Findings

    Array = np.ndarray[Any, np.dtype[Any]]

SHOWN_DRIVERS = 3
_MONOTONE = 0.9
"""Rank correlation from which on a column is said to push one way."""
_FEWEST_VALUES = 20
_FEWEST_ERRORS = 40
_UNEVEN = 1.25
"""Times the mean error elsewhere, from which on a range of predictions is called weak."""


def summary(findings: Findings) -> str:
    """How good the model is, what it rests on, where it is weakest, and what is to be doubted."""
    return " ".join(sentences(findings))


def sentences(findings: Findings) -> Iterator[str]:
    """The paragraph, sentence by sentence."""
    line = _headline(findings)
    if line is None:
        yield "No metric is defined on the held-out rows, so nothing is known of the model."
        return
    yield _score(findings, line)
    yield from _verdict(findings, line)
    if useless(findings.data.headline, findings.data.target, findings.lines):
        yield "What it rests on is then no finding."
    else:
        yield _drivers(findings)
    yield from _weakest(findings)
    yield from _doubts(findings)


def _headline(findings: Findings) -> MetricLine | None:
    """The metric that decides, or the first that is defined."""
    told = {line.metric: line for line in findings.lines}
    return told.get(findings.data.headline) or next(iter(told.values()), None)


def _score(findings: Findings, line: MetricLine) -> str:
    info, n_rows = INFO[Metric(line.metric)], counted(findings.data.n_test, "held-out row")
    ends = line.interval
    sure = f"95 % interval {number(ends[0])} to {number(ends[1])}" if ends else "no interval"
    beside = "" if line.baseline is None else _beside(line)
    if line.metric == Metric.ACCURACY:
        part = "all" if line.value == 1 else percent(line.value)
        return (
            f"Of {n_rows}, {part} are classified right (accuracy {number(line.value)}, {sure})"
            f"{beside}."
        )
    if info.has_target_unit:
        return (
            f"Predictions of '{findings.data.target}' are typically off by {number(line.value)} in"
            f" its own unit ({info.label} of {n_rows}, {sure}){beside}."
        )
    better = "higher" if info.greater_is_better else "lower"
    return f"{info.label} is {number(line.value)} ({better} is better; {n_rows}, {sure}){beside}."


def _beside(line: MetricLine) -> str:
    value, share = number(line.baseline or 0.0), percent(line.baseline or 0.0)
    if line.metric == Metric.ACCURACY:
        return f"; always naming the most frequent class would be right in {share}"
    if INFO[Metric(line.metric)].has_target_unit:
        return f"; always predicting the mean would be off by {value}"
    return f"; a model that ignores every column has {value}"


def _verdict(findings: Findings, line: MetricLine) -> Iterator[str]:
    """Whether the model is of use."""
    if line.baseline is None:
        return
    if is_better(line):
        yield f"That is clearly better{_gain(line)}: the columns tell of '{findings.data.target}'."
    elif found := [one for one in telling(findings.lines) if is_better(one)]:
        other = found[0]
        yield (
            f"By that alone the model is of no use, but its {INFO[Metric(other.metric)].label} of"
            f" {number(other.value)} is clearly better than the {number(other.baseline or 0.0)} of"
            " a model that ignores every column."
        )
    elif is_worse(line):
        yield "That is worse: do not use the model."
    else:
        yield "That is not clearly better: the model may be of no use."


def _gain(line: MetricLine) -> str:
    """By which part mistakes or errors are fewer, where that is a plain number."""
    is_share = line.metric == Metric.ACCURACY
    if not (is_share or INFO[Metric(line.metric)].has_target_unit):
        return ""
    before, now = ((1 - one if is_share else one) for one in (line.baseline or 0.0, line.value))
    less = "fewer mistakes" if is_share else "less error"
    return f", with {percent((before - now) / before)} {less}" if before > 0 else ""


def _drivers(findings: Findings) -> str:
    strengths = shapley.strongest(findings.shap_global)
    names = [name for name, strength in strengths.items() if strength > 0]
    if not names:
        return "No column moves its predictions."
    said = [f"'{name}'{_direction(findings, name)}" for name in names[:SHOWN_DRIVERS]]
    if len(names) == 1:
        return f"Only {said[0]} moves its predictions."
    most = " most" if len(names) > SHOWN_DRIVERS else ""
    return f"It rests{most} on {listed(said)}, strongest first."


def _direction(findings: Findings, name: str) -> str:
    """Where more of a column pushes one way: which."""
    found = findings.shap
    values = findings.explained[name]
    if found.values.shape[2] != 1 or values.dtype.kind not in "biufM":
        return ""
    rank = _correlation(_ordered(values), found.values[:, found.features.index(name), 0])
    if abs(rank) < _MONOTONE:
        return ""
    more = "later" if values.dtype.kind == "M" else "higher"
    if found.classes:
        return f" (the {more}, the {'more' if rank > 0 else 'less'} likely '{found.classes[-1]}')"
    return f" (the {more}, the {'higher' if rank > 0 else 'lower'} the prediction)"


def _ordered(values: pd.Series) -> Array:
    """Values as numbers in their order; missing ones are NaN."""
    found = values.to_numpy()
    if found.dtype.kind == "M":
        days = found.astype("datetime64[us]").astype(np.float64)
        return np.where(np.isnat(found), np.nan, days)
    return np.asarray(found, dtype=np.float64)


def _correlation(values: Array, pushes: Array) -> float:
    """Rank correlation, 0 where it would say nothing."""
    from scipy.stats import spearmanr

    known = np.isfinite(values)
    values, pushes = values[known], pushes[known]
    if len(values) < _FEWEST_VALUES or np.ptp(values) == 0 or np.ptp(pushes) == 0:
        return 0.0
    return float(spearmanr(values, pushes).statistic)


def _weakest(findings: Findings) -> Iterator[str]:
    """Where it errs most; and of how many rows that is, where they are a part of those held out."""
    is_of_classes = findings.data.kind is Kind.CLASSIFICATION
    sample = f", in a sample of {len(findings.rows):,}." if findings.is_sampled else "."
    for sentence in (_mistakes if is_of_classes else _errors)(findings):
        yield sentence.removesuffix(".") + sample


def _mistakes(findings: Findings) -> Iterator[str]:
    """Classes that are never found, and the mistake that is made most often."""
    model = findings.model
    counts = curves.confusion(findings.actual, model.labels(findings.output), model.classes)
    matrix, of_class = counts.to_numpy(), counts.to_numpy().sum(axis=1)
    lost = np.flatnonzero((np.diag(matrix) == 0) & (of_class > 0))
    if len(lost):
        n_rows = counted(int(of_class[lost].sum()), "row")
        yield f"None of the {n_rows} of {quoted(counts.index[lost], 3)} is found."
    wrong = matrix - np.diag(np.diag(matrix))
    true, taken = np.unravel_index(wrong.argmax(), wrong.shape)
    if wrong[true, taken] and not (len(lost) and true in lost):
        yield (
            f"Its most frequent mistake: {wrong[true, taken]:,} of"
            f" {counted(int(of_class[true]), 'row')} of '{counts.index[true]}' taken for"
            f" '{counts.columns[taken]}'."
        )


def _errors(findings: Findings) -> Iterator[str]:
    """Quarter of the predictions in which errors are largest, or of few rows the largest error."""
    actual = findings.actual.to_numpy(np.float64)
    predicted = np.asarray(findings.output, dtype=np.float64)
    errors = np.abs(actual - predicted)
    if not len(errors) or not errors.max() > 0:
        return
    edges = np.quantile(predicted, [0.25, 0.5, 0.75])
    if len(errors) >= _FEWEST_ERRORS and len(np.unique(edges)) == len(edges):
        yield _weak_quarter(errors, np.digitize(predicted, edges), [number(one) for one in edges])
        return
    place = int(errors.argmax())
    yield (
        f"Its largest error is {number(errors[place])}: {number(actual[place])} predicted as"
        f" {number(predicted[place])}."
    )


def _weak_quarter(errors: Array, quarters: Array, edges: list[str]) -> str:
    means = [errors[quarters == one].mean() for one in range(4)]
    worst = int(np.argmax(means))
    elsewhere = errors[quarters != worst].mean()
    if means[worst] < _UNEVEN * elsewhere:
        return "Its errors are about as large wherever it predicts."
    ranges = (f"less than {edges[0]}", *map(" to ".join, pairwise(edges)), f"{edges[2]} or more")
    return (
        f"It is weakest where it predicts {ranges[worst]}: there it is off by"
        f" {number(means[worst])} on average, elsewhere by {number(elsewhere)}."
    )


def _doubts(findings: Findings) -> Iterator[str]:
    leaked = {
        name: None
        for one in findings.warnings
        if one.kind is WarningKind.LEAK
        for name in one.columns
    }
    if leaked:
        target = findings.data.target
        gives = "gives" if len(leaked) == 1 else "give"
        yield (
            f"But {quoted(leaked)} {gives} '{target}' away: the score says nothing of rows of which"
            " that is not known."
        )
    if len(findings.rows) < FEW_ROWS:
        yield "With so few rows held out, every number here is uncertain."
