"""Whether a model is of use: better than one that ignores every column, by more than noise.

The scores and their intervals are measured in ``metrics`` and ``intervals``.
"""

from __future__ import annotations

from collections.abc import Iterable

from baton.evaluation.measured import MetricLine
from baton.metric import GREATER_IS_BETTER, INFO, Metric
from baton.warning import DataWarning, WarningKind
from baton.words.text import number

_TELLING = (Metric.ROC_AUC, Metric.AVERAGE_PRECISION, Metric.LOG_LOSS, Metric.R2)
"""Beside the metric that decides: accuracy sees nothing of rare classes."""


def useless(headline: str, target: str, lines: Iterable[MetricLine]) -> list[DataWarning]:
    """Warn of a model that neither the metric that decides nor a telling one finds better.

    Parameters
    ----------
    headline : str
        Metric that decides.
    target : str
    lines : iterable of MetricLine
        What was measured on the rows held out.
    """
    told = {line.metric: line for line in lines if line.baseline is not None}
    if any(is_better(line) for name, line in told.items() if name in {headline, *_TELLING}):
        return []
    line = told.get(headline) or next(iter(told.values()), None)
    return [] if line is None else [_warned(line, target)]


def telling(lines: Iterable[MetricLine]) -> list[MetricLine]:
    """Those that also see what is gained of rare classes, the plainest first."""
    told = {line.metric: line for line in lines}
    return [told[name] for name in _TELLING if name in told]


def is_better(line: MetricLine) -> bool:
    """Tell whether the whole interval is better than the baseline."""
    return min(_gains(line), default=0.0) > 0


def is_worse(line: MetricLine) -> bool:
    """Tell whether the whole interval is worse than the baseline."""
    return max(_gains(line), default=0.0) < 0


def _gains(line: MetricLine) -> list[float]:
    """By how much the ends of the interval are better than the baseline; none without one."""
    if line.baseline is None:
        return []
    sign = 1 if GREATER_IS_BETTER[Metric(line.metric)] else -1
    return [sign * (end - line.baseline) for end in line.interval or (line.value, line.value)]


def _warned(line: MetricLine, target: str) -> DataWarning:
    ends = line.interval
    between = f" (95 % interval {number(ends[0])} to {number(ends[1])})" if ends else ""
    return DataWarning(
        WarningKind.USELESS,
        (),
        f"{INFO[Metric(line.metric)].label} {number(line.value)}{between} is not clearly better"
        f" than the {number(line.baseline or 0)} of a model that ignores every column: the columns"
        f" may say nothing of '{target}'; do not use it, try other columns or more rows",
    )
