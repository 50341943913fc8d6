"""Two chains side by side: what was chosen otherwise, and by how much their scores differ.

Pure functions of facts. Finding the chains and resampling their rows belongs to ``baton.chains``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from baton.metric import INFO, Metric
from baton.showing.report import render_page
from baton.words import display
from baton.words.text import number

Range = tuple[float, float]


@dataclass(frozen=True)
class ChainFacts:
    """What is compared of a chain."""

    id: str
    title: str
    headline: str
    model: str
    """Address of the model."""
    choices: Mapping[str, Mapping[str, Any]]
    """Parameters, options and the model's settings."""
    data: Mapping[str, Any]
    """Counts and digests of its tables."""
    scores: Mapping[str, float]
    intervals: Mapping[str, Range]


@dataclass(frozen=True)
class Choice:
    """Something that was chosen otherwise, or is otherwise."""

    of: str
    """Parameters, options, model or data."""
    name: str
    a: Any
    """None where it is not there."""
    b: Any


@dataclass(frozen=True)
class MetricPair:
    """One metric of both."""

    metric: str
    a: float
    b: float
    a_interval: Range | None
    b_interval: Range | None
    difference: float | None
    """Of B less A, where both were scored on the same rows."""
    interval: Range | None
    """95 % interval of the difference, by resamples of these rows."""

    @property
    def verdict(self) -> str:
        """Which one is better, where the whole interval says so."""
        if self.interval is None or self.difference is None:
            return ""
        low, high = self.interval
        if low <= 0 <= high:
            return "no clear difference"
        is_up = low > 0
        return (
            "B is better"
            if is_up == INFO[Metric(self.metric)].greater_is_better
            else ("A is better")
        )


@dataclass(frozen=True, repr=False)
class Compared:
    """Two chains side by side."""

    a: ChainFacts
    b: ChainFacts
    choices: tuple[Choice, ...]
    metrics: tuple[MetricPair, ...]
    """The headline metric first."""
    apart: str
    """Why they were not scored on the same rows; empty if they were."""

    @property
    def summary(self) -> str:
        """What comes of it, in words."""
        if not self.metrics:
            return "They have no metric in common."
        first = self.metrics[0]
        label = INFO[Metric(first.metric)].label
        values = f"{label} {number(first.a)} of A and {number(first.b)} of B"
        if self.apart:
            return (
                f"{values}, on different held-out rows ({self.apart}): no difference can be told"
                " from them, as part of it is the rows'."
            )
        rows = f"{self.a.data['rows held out']:,} held-out rows"
        if first.interval is None or first.difference is None:
            return f"{values} on the same {rows}."
        ends = f"{_signed(first.interval[0])} to {_signed(first.interval[1])}"
        return (
            f"{first.verdict[0].upper()}{first.verdict[1:]}: {values} on the same {rows},"
            f" {_signed(first.difference)} (95 % interval {ends})."
        )

    def as_json(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        sides = {
            name: {"chain": one.id, "title": one.title, "model": one.model}
            for name, one in (("a", self.a), ("b", self.b))
        }
        return {
            **sides,
            "is_paired": not self.apart,
            "why_not": self.apart or None,
            "summary": self.summary,
            "differs": [asdict(one) for one in self.choices],
            "metrics": [asdict(one) | {"verdict": one.verdict or None} for one in self.metrics],
        }

    def lines(self) -> Iterator[tuple[str, str, str, str, str]]:
        """Metric, its value in A and B with intervals, the difference with its own, the verdict."""
        for one in self.metrics:
            change = "" if one.difference is None else _signed(one.difference)
            if one.interval:
                change += f" ({_signed(one.interval[0])} to {_signed(one.interval[1])})"
            yield (
                one.metric,
                _ranged(one.a, one.a_interval),
                _ranged(one.b, one.b_interval),
                change,
                one.verdict,
            )

    def choice_lines(self) -> Iterator[tuple[str, str, str, str]]:
        """What differs: of what, its name, in A and in B."""
        for one in self.choices:
            yield one.of, one.name, _text(one.a), _text(one.b)

    def __repr__(self) -> str:
        return f"Compared({self.a.id}, {self.b.id}: {self.summary})"

    def _repr_html_(self) -> str:
        facts = {"A": f"{self.a.title}, {self.a.id}", "B": f"{self.b.title}, {self.b.id}"}
        return display.card(
            self.summary,
            facts,
            display.table(("metric", "A", "B", "B less A", ""), self.lines()),
            display.table(("differs in", "", "A", "B"), self.choice_lines()),
        )


def side_by_side(found: Compared) -> str:
    """Render a comparison as one HTML page, in the look of a report."""
    return render_page("compared.html.jinja", found=found)


def compared(
    a: ChainFacts, b: ChainFacts, differ: Mapping[str, Range], apart: str = ""
) -> Compared:
    """Set two chains side by side.

    Parameters
    ----------
    a, b : ChainFacts
    differ : mapping of metric name to (low, high)
        95 % intervals of the differences of B less A.
    apart : str
        Why their held-out rows are not the same; empty if they are.
    """
    return Compared(a, b, tuple(_choices(a, b)), tuple(_metrics(a, b, differ, apart)), apart)


def _choices(a: ChainFacts, b: ChainFacts) -> Iterator[Choice]:
    of_a, of_b = ({**one.choices, "data": one.data} for one in (a, b))
    for of in dict.fromkeys([*of_a, *of_b]):
        left, right = of_a.get(of, {}), of_b.get(of, {})
        for name in dict.fromkeys([*left, *right]):
            if left.get(name) != right.get(name):
                yield Choice(of, name, left.get(name), right.get(name))


def _metrics(
    a: ChainFacts, b: ChainFacts, differ: Mapping[str, Range], apart: str
) -> Iterator[MetricPair]:
    both = [name for name in a.scores if name in b.scores]
    for name in sorted(both, key=lambda name: name != a.headline):
        yield MetricPair(
            metric=name,
            a=a.scores[name],
            b=b.scores[name],
            a_interval=a.intervals.get(name),
            b_interval=b.intervals.get(name),
            difference=None if apart else b.scores[name] - a.scores[name],
            interval=differ.get(name),
        )


def _signed(value: float) -> str:
    return f"+{number(value)}" if value > 0 else number(value)


def _ranged(value: float, ends: Range | None) -> str:
    return number(value) + (f" ({number(ends[0])} to {number(ends[1])})" if ends else "")


def _text(value: Any) -> str:
    if value is None:
        return "–"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
