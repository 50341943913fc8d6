"""How many new rows the intervals of predicted numbers hold: by simulation, and of real tables.

    python benchmarks/prediction_intervals.py [--runs 60]
    python benchmarks/prediction_intervals.py --data ../shared/data/tables [--only abalone]

By simulation every world is drawn anew, a model is fitted on some hundred rows and finished as
`baton run` does, and its 90 % intervals are counted on 4,000 new rows; of customers, on rows of
customers that nothing was learned from. What would be said if the errors of rows that are alike
were taken for independent is in brackets. Of real tables the split is that of `baton run table`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tables import FIGURES, parser_of, rows_of

from baton import models
from baton.models.answers import output_of
from baton.models.prediction_interval import coverage
from baton.terms import GROUP, TIME, Kind

LEVEL = 0.9
_NEW_ROWS = 4_000
_PARAMS = {"n_estimators": 60, "max_depth": 4, "early_stopping": False}


@dataclass(frozen=True)
class World:
    """Where rows come from: the noise of their target, and whom they belong to."""

    name: str
    noise: Callable[[Any, np.random.Generator], Any]
    n_rows: int = 600
    n_customers: int = 0
    """Customers that the rows are of; 0 where each is by itself."""
    drift: float = 0.0
    """By how much the noise of the last rows is greater than that of the first."""

    def draw(self, n_rows: int, rng: np.random.Generator) -> pd.DataFrame:
        """Rows of the world: columns, target, and the customer or time of each."""
        if self.n_customers:
            size = self.n_rows // self.n_customers
            n_customers = n_rows // size
            codes = np.repeat(np.arange(n_customers), size)
            columns = rng.normal(size=(n_customers, 3))[codes]
            own = rng.normal(0, 0.7, n_customers)[codes]
        else:
            codes, columns, own = None, rng.normal(size=(n_rows, 3)), 0.0
        table = pd.DataFrame(columns, columns=list("abc"))
        place = np.linspace(0, 1, len(table)) if n_rows == self.n_rows else np.ones(len(table))
        spread = 1 + self.drift * place
        y = 2 * table.a + table.b**2 + own + spread * self.noise(table.a.to_numpy(), rng)
        table = table.assign(y=y)
        if self.drift:
            return table.assign(**{TIME: np.arange(len(table))})
        return table if codes is None else table.assign(**{GROUP: codes})


WORLDS = [
    World("even noise", lambda a, rng: rng.normal(size=len(a))),
    World("even noise, 60 rows", lambda a, rng: rng.normal(size=len(a)), 60),
    World("noise grows", lambda a, rng: np.exp(0.7 * a) * rng.normal(size=len(a))),
    World("skewed noise", lambda a, rng: rng.exponential(1.5, size=len(a))),
    World("heavy tails", lambda a, rng: rng.standard_t(2, size=len(a))),
    World("60 customers x 10", lambda a, rng: 0.3 * rng.normal(size=len(a)), 600, 60),
    World("25 customers x 40", lambda a, rng: 0.3 * rng.normal(size=len(a)), 1000, 25),
    World("noise grows with time", lambda a, rng: rng.normal(size=len(a)), 600, 0, 1.0),
]


def held_by(world: World, seed: int, *, hangs: bool) -> float:
    """Part of new rows that a model's intervals hold."""
    rng = np.random.default_rng(seed)
    rows, new = world.draw(world.n_rows, rng), world.draw(_NEW_ROWS, rng)
    if not hangs:
        rows = rows.drop(columns=[GROUP, TIME], errors="ignore")
    model = finished(rows, models.Recipe("y", Kind.REGRESSION, params=_PARAMS, seed=seed))
    interval = model.deciding.interval
    if interval is None:
        return float("nan")
    return coverage(*interval.of(output_of(model, new)), new["y"].to_numpy())


def finished(rows: pd.DataFrame, recipe: models.Recipe) -> models.FittedModel:
    """Fit a model and find its intervals."""
    fitted = models.fit(rows, recipe)
    return models.finish(fitted, rows, recipe, models.Wanted(interval=LEVEL))


def simulate(n_runs: int) -> None:
    """Print what is held on average, and the standard error of that."""
    for world in WORLDS:
        ways = (True, False) if world.n_customers or world.drift else (True,)
        found = [[held_by(world, seed, hangs=way) for seed in range(n_runs)] for way in ways]
        shown = [f"{np.nanmean(one):.3f} ± {np.nanstd(one) / n_runs**0.5:.3f}" for one in found]
        beside = f" ({shown[1]})" if len(shown) > 1 else ""
        say(f"{world.name:<22} {shown[0]}{beside}")


def of_tables(folder: Path, names: list[str], family: str) -> None:
    """Print what is held of the rows held out, the mean width, and how many rows that are."""
    for name in names:
        rows = rows_of(FIGURES[name], folder, 0)
        if rows.kind is Kind.CLASSIFICATION:
            continue
        model = finished(rows.train, rows.recipe(family))
        low, high = model.deciding.interval.of(output_of(model, rows.test))
        held = coverage(low, high, rows.test[rows.target].to_numpy())
        width = float(np.mean(high - low))
        say(f"{name:<15} {held:.3f} of {len(rows.test):>6,} rows, mean width {width:.4g}")


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    """Simulate, or look at real tables."""
    parser = parser_of(__doc__, is_required=False)
    parser.add_argument("--runs", type=int, default=60)
    parser.add_argument("--model", default="boosters", help="family of models")
    asked = parser.parse_args()
    if asked.data is None:
        simulate(asked.runs)
    else:
        of_tables(asked.data, asked.only, asked.model)


if __name__ == "__main__":
    main()
