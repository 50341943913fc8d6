"""How often intervals hold the truth, by simulation: of rows, of customers, of few rows.

    python benchmarks/interval_coverage.py [--runs 400]

Every world is drawn anew: answers whose true metric is known, because it is computed on a very
large sample of that world. A 95 % interval is to hold it in about 95 % of the worlds. Rows of a
customer are alike, so an interval over rows does not; one over whole customers is to.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

from baton.evaluation import intervals, metrics
from baton.terms import Kind

_LARGE = 40_000


@dataclass(frozen=True)
class World:
    """Answers of a model to rows of customers."""

    kind: Kind
    n_customers: int
    n_rows: int
    """Rows of each customer."""

    @property
    def name(self) -> str:
        """How it is called in the table."""
        return f"{self.kind.value}, {self.n_customers} x {self.n_rows}"

    def draw(self, n_customers: int, rng: np.random.Generator) -> tuple[Any, Any, Any]:
        """True values, outputs, and the customer of each row."""
        units = np.repeat(np.arange(n_customers), self.n_rows)
        if self.kind is Kind.CLASSIFICATION:
            of_customer = rng.normal(1.0, 1.0, n_customers)[units]
            y = (rng.random(len(units)) < 0.4).astype(int)
            score = (2 * y - 1) * of_customer + rng.normal(0, 1.0, len(units))
            proba = 1 / (1 + np.exp(-1.5 * score))
            return y, np.stack([1 - proba, proba], axis=1), units
        scale, shift = rng.exponential(1.0, n_customers), rng.normal(0, 0.5, n_customers)
        y = rng.normal(10.0, 2.0, len(units))
        return y, y + shift[units] + scale[units] * rng.normal(size=len(units)), units


WORLDS = [
    World(kind, n_customers, n_rows)
    for kind in Kind
    for n_customers, n_rows in ((20, 1), (50, 1), (500, 1), (15, 20), (50, 20), (300, 5))
]


def coverage(world: World, n_runs: int) -> dict[str, tuple[float, float]]:
    """Part of the runs in which each metric's interval holds the truth: over units, over rows."""
    rng = np.random.default_rng(7)
    y, output, _ = world.draw(_LARGE // world.n_rows, rng)
    truth = metrics.evaluate(world.kind, y, output, [0, 1])
    hits: dict[str, list[tuple[bool, bool]]] = {name: [] for name in truth}
    for seed in range(n_runs):
        y, output, units = world.draw(world.n_customers, np.random.default_rng(1000 + seed))
        found = [
            intervals.bootstrap(world.kind, y, output, [0, 1], units=given, seed=seed)
            for given in (units, None)
        ]
        for name, value in truth.items():
            if all(name in one for one in found):
                hits[name].append(tuple(one[name][0] <= value <= one[name][1] for one in found))
    return {name: tuple(np.mean(both, axis=0)) for name, both in hits.items() if both}


def main() -> None:
    """Print a table: coverage over customers, and in brackets over rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=400)
    n_runs = parser.parse_args().runs
    for world in WORLDS:
        found = coverage(world, n_runs)
        shown = ", ".join(
            f"{name} {by_unit:.2f}" + ("" if world.n_rows == 1 else f" ({by_row:.2f})")
            for name, (by_unit, by_row) in found.items()
        )
        sys.stdout.write(f"{world.name}: {shown}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
