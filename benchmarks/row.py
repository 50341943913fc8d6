"""A row of the table of `make bench`: what was measured, ours, the ordinary way, their ratio.

How a row is measured belongs in the program of its subject.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from baton.settings import settings


@dataclass(frozen=True)
class Row:
    """Both ways of doing the same, measured in turn in one run."""

    what: str
    ours: float
    ordinary: float
    unit: str
    ordinary_is: str
    """What the ordinary way is."""
    target: str = ""
    """What the ratio, or our own figure, was to reach."""
    growth: str = ""
    """How our cost grows."""
    is_rate: bool = False
    """Tell whether more is better."""

    @property
    def ratio(self) -> float:
        """How many times better ours is."""
        better, worse = (self.ours, self.ordinary) if self.is_rate else (self.ordinary, self.ours)
        return better / worse if worse else math.inf

    def cells(self) -> tuple[str, ...]:
        """Its cells, in the order of :data:`HEADINGS`."""
        return (
            self.what,
            f"{_short(self.ours)} {self.unit}",
            f"{_short(self.ordinary)} {self.unit}",
            self.ordinary_is,
            f"{_short(self.ratio)} ×",
            self.target,
            self.growth,
        )


HEADINGS = ("what", "ours", "the ordinary way", "which is", "ratio", "target", "our cost grows")


def repeats_asked(text: str, default: int) -> int:
    """How often to measure, as the command line of a program says that takes nothing else."""
    parser = argparse.ArgumentParser(
        description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=default, help="(default %(default)s)")
    return int(parser.parse_args().repeats)


def tell(rows: Sequence[Row]) -> None:
    """Print rows, one after the other."""
    for row in rows:
        cells = zip(HEADINGS[1:], row.cells()[1:], strict=True)
        print(f"{row.what}: " + "; ".join(f"{name} {cell}" for name, cell in cells if cell))


def _short(value: float) -> str:
    """A number of three digits that count.

    Examples
    --------
    >>> _short(0.01234), _short(1.2), _short(123456.0)
    ('0.0123', '1.2', '123,000')
    """
    if not value or not math.isfinite(value):
        return f"{value:g}"
    digits = 2 - math.floor(math.log10(abs(value)))
    rounded = round(value, digits)
    return f"{rounded:,.0f}" if digits <= 0 else f"{rounded:.{digits}f}".rstrip("0").rstrip(".")


def in_turn(
    ours: Callable[[], object], ordinary: Callable[[], object], repeats: int
) -> tuple[float, float]:
    """Median seconds of both, run one after the other so many times.

    Each is run once before, which is not counted: imports and caches are there then.
    """
    taken: tuple[list[float], list[float]] = ([], [])
    for turn in range(repeats + 1):
        for place, run in enumerate((ours, ordinary)):
            began = time.perf_counter()
            run()
            if turn:
                taken[place].append(time.perf_counter() - began)
    return statistics.median(taken[0]), statistics.median(taken[1])


def growth(sizes: Sequence[float], costs: Sequence[float]) -> str:
    """How a cost grows with a size: the exponent of the power that fits best.

    Examples
    --------
    >>> growth([10, 100, 1000], [1.0, 10.0, 100.0])
    'as n^1.00'
    """
    logs = [math.log(one) for one in sizes], [math.log(one) for one in costs]
    slope = statistics.linear_regression(*logs).slope
    return f"as n^{slope:.2f}"


@contextmanager
def temporary_home() -> Iterator[Path]:
    """A home of this process's own, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="baton-") as folder:
        os.environ["BATON_HOME"] = folder
        settings.cache_clear()
        try:
            yield Path(folder)
        finally:
            del os.environ["BATON_HOME"]
            settings.cache_clear()
