"""What was measured on the rows held out: each metric, its interval and what to compare it with.

The metrics themselves are in ``baton.evaluation.metrics``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

    from baton.evaluation.validation import CrossValidation


@dataclass(frozen=True)
class MetricLine:
    """One metric; what was not measured, or is not defined, is None."""

    metric: str
    value: float
    low: float | None = None
    """Lower end of the 95 % interval."""
    high: float | None = None
    """Upper end."""
    baseline: float | None = None
    """Of a model that ignores every column."""
    cv_mean: float | None = None
    """Mean over the folds of a cross-validation of the training rows."""
    cv_std: float | None = None
    """Standard deviation over these folds."""

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % interval."""
        return None if self.low is None or self.high is None else (self.low, self.high)


def metric_lines(
    values: Mapping[str, float],
    intervals: Mapping[str, tuple[float, float]],
    baseline: Mapping[str, float],
    folds: CrossValidation,
) -> tuple[MetricLine, ...]:
    """Join what was measured, a line for each metric that is defined on the held-out rows."""
    mean, std = folds.mean, folds.std
    return tuple(
        MetricLine(
            metric=name,
            value=value,
            low=intervals[name][0] if name in intervals else None,
            high=intervals[name][1] if name in intervals else None,
            baseline=baseline.get(name),
            cv_mean=mean.get(name),
            cv_std=std.get(name),
        )
        for name, value in values.items()
    )


def as_table(lines: Iterable[MetricLine]) -> pa.Table:
    """Table of the lines: ``metric``, then a float64 column for each of the others."""
    import pyarrow as pa

    names = [field.name for field in fields(MetricLine)]
    numbers: list[pa.Field[Any]] = [pa.field(name, pa.float64()) for name in names[1:]]
    schema = pa.schema([pa.field(names[0], pa.string()), *numbers])
    return pa.Table.from_pylist([asdict(line) for line in lines], schema=schema)


def of_table(table: pa.Table) -> tuple[MetricLine, ...]:
    """Lines of a table that :func:`as_table` made."""
    lines: list[dict[str, Any]] = table.to_pylist()
    return tuple(MetricLine(**line) for line in lines)
