"""The leaderboard: every candidate with its score, its interval and its costs, the best first."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from baton.evaluation import intervals, metrics

if TYPE_CHECKING:
    import pyarrow as pa

    from baton.selection.choice import Ground
    from baton.selection.out_of_fold import Cost


@dataclass(frozen=True)
class Entry:
    """A candidate, or several together, before it is ranked."""

    name: str
    family: str
    params: Mapping[str, Any]
    output: Any
    """What it answered out of fold."""
    cost: Cost


@dataclass(frozen=True)
class Line:
    """One line of the leaderboard; what is not known is None."""

    candidate: str
    model: str
    metric: str
    """What decides."""
    score: float | None
    """That metric, over all rows that were answered out of fold."""
    low: float | None
    """Lower end of its 95 % interval."""
    high: float | None
    behind: float | None
    """By how much the first line is better, on the same rows; of the first line 0."""
    behind_low: float | None
    """Lower end of the 95 % interval of that."""
    behind_high: float | None
    is_behind: bool
    """Whether the first line is better by more than noise."""
    fit_seconds: float
    rows_per_second: float
    n_bytes: int
    weight: float
    """In the model that is trained."""
    params: str
    """JSON."""

    def weighing(self, weight: float) -> Line:
        """Return the same with this weight."""
        return replace(self, weight=weight)


def lines_of(ground: Ground, entries: Sequence[Entry]) -> tuple[Line, ...]:
    """Rank the entries by the ground's metric; the first of equals stays first."""
    name = metrics.parse(ground.metric)
    sign = -1.0 if metrics.GREATER_IS_BETTER[name] else 1.0
    scores = [
        metrics.score(name, ground.actual, one.output, ground.classes, weights=ground.weights)
        for one in entries
    ]
    order = sorted(
        range(len(entries)),
        key=lambda n: (scores[n] is None, sign * (scores[n] or 0.0)),
    )
    first = entries[order[0]]
    return tuple(_line(ground, entries[place], scores[place], first) for place in order)


def _line(ground: Ground, entry: Entry, score: float | None, first: Entry) -> Line:
    low, high = _interval(ground, entry) if score is not None else (None, None)
    behind = (
        None if entry is first else ground.difference(ground.metric, first.output, entry.output)
    )
    return Line(
        candidate=entry.name,
        model=entry.family,
        metric=ground.metric,
        score=score,
        low=low,
        high=high,
        behind=0.0 if entry is first else behind.gain if behind else None,
        behind_low=behind.low if behind else None,
        behind_high=behind.high if behind else None,
        is_behind=behind is not None and behind.is_clear,
        fit_seconds=entry.cost.fit_seconds,
        rows_per_second=entry.cost.rows_per_second,
        n_bytes=entry.cost.n_bytes,
        weight=0.0,
        params=json.dumps(dict(entry.params), sort_keys=True),
    )


def _interval(ground: Ground, entry: Entry) -> tuple[float | None, float | None]:
    found = intervals.bootstrap(
        ground.kind,
        ground.actual,
        entry.output,
        ground.classes,
        units=ground.units,
        weights=ground.weights,
        seed=ground.seed,
    )
    return found.get(ground.metric, (None, None))


def verdict(lines: Sequence[Line]) -> str:
    """Whether the first is better than the second by more than noise, in a sentence."""
    if len(lines) < 2:
        return ""
    first, second = lines[0].candidate, lines[1].candidate
    if lines[1].behind is None or lines[1].behind_low is None:
        return f"{first} and {second} cannot be compared on these rows"
    by = f"by {lines[1].behind:.4g} ({lines[1].behind_low:.4g} to {lines[1].behind_high:.4g})"
    if lines[1].is_behind:
        return f"{first} is better than {second} {by}, which is more than noise"
    return f"{first} is better than {second} {by}, which may be noise"


def as_table(lines: Iterable[Line]) -> pa.Table:
    """Table of the lines, a column for each field."""
    import pyarrow as pa

    types = {"str": pa.string(), "bool": pa.bool_(), "int": pa.int64()}
    schema = pa.schema(
        [pa.field(one.name, types.get(str(one.type), pa.float64())) for one in fields(Line)]
    )
    return pa.Table.from_pylist([asdict(line) for line in lines], schema=schema)


def of_table(table: pa.Table) -> tuple[Line, ...]:
    """Lines of a table that :func:`as_table` made."""
    return tuple(Line(**line) for line in table.to_pylist())
