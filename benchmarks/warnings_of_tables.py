"""Which warnings public tables get, and which of them are false alarms.

Prints a line for each data set: rows, columns, seconds, and the columns named by each kind of
warning. What is known of a table stands in `KNOWN`; whatever else is warned of counts as a false
alarm, and what is known and not warned of as missed. The tables are those of scikit-learn, the
problems `spheres` and `iris`, and the files of a folder, where it is given.

    .venv/bin/python benchmarks/warnings_of_tables.py ../shared/data/tables
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from baton import problems
from baton.checks import Sides, inspect
from baton.checks.columns import left_out_of
from baton.terms import SPLIT
from baton.warning import DataWarning, WarningKind

OF_SKLEARN = ("iris", "wine", "breast_cancer", "diabetes", "digits")
FILES = {
    "abalone": "rings",
    "bank_marketing": "y",
    "beijing_pm25": "pm2.5",
    "bike_hour": "cnt",
    "magic_train": "class",
    "mammography": "calcification",
    "mpg": "mpg",
    "online_shoppers": "Revenue",
    "phoneme": "nasal",
    "taxis": "total",
    "wine_quality_white": "quality",
}

KNOWN = {
    "digits": {"columns"},  # a pixel that is 0 in all training rows, and three in all rows
    "bank_marketing": {"suspect"},  # the duration of the call that sold
    "beijing_pm25": {"time", "columns"},  # hours of five years; their number
    "bike_hour": {"leak", "time", "columns"},  # casual + registered; hours; their number
    "magic_train": {"duplicates"},
    "mammography": {"imbalance"},
    "mpg": {"group"},  # cars of one name, in other years
    "online_shoppers": {"suspect"},  # PageValues is computed after a purchase
    "phoneme": {"duplicates"},
    "taxis": {"leak", "time"},  # fare + tip + tolls; days
    "wine_quality_white": {"duplicates", "imbalance"},  # one row of five is there twice; 5 of 9
}
"""Kinds of warning that are right, and why; of a table that is not here, none is."""


@dataclass(frozen=True)
class Seen:
    """One table, and what was warned of."""

    name: str
    sides: Sides
    found: list[DataWarning]
    seconds: float

    @classmethod
    def of(cls, name: str, sides: Sides) -> Seen:
        """Look at a table."""
        began = time.perf_counter()
        found = inspect(sides)
        return cls(name, sides, found, time.perf_counter() - began)

    @property
    def kinds(self) -> set[str]:
        """Kinds of the warnings."""
        return {one.kind.value for one in self.found}

    def cell(self, kind: str) -> str:
        """What is said of a kind: the columns, marked where it is not known of the table."""
        named = [", ".join(one.columns[:3]) or "rows" for one in self.found if one.kind == kind]
        is_known = kind in KNOWN.get(self.name, set())
        if not named:
            return "MISSED" if is_known else ""
        return ("" if is_known else "FALSE ") + "; ".join(named)


def main() -> None:
    """Look at all tables and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, help="of the files")
    seen = []
    for name, sides in tables(parser.parse_args().folder):
        seen.append(Seen.of(name, sides))
        _tell(seen[-1])
    _sum_up(seen)


def tables(folder: Path | None) -> Iterator[tuple[str, Sides]]:
    """Every table at hand, split as its problem splits it."""
    for name in ("spheres", "iris"):
        yield f"{name} (problem)", sides_of(name, {})
    with tempfile.TemporaryDirectory() as made:
        for name in OF_SKLEARN:
            path = Path(made) / f"{name}.csv"
            _write(name, path)
            yield name, sides_of("table", {"path": str(path), "target": "target"})
    for name, target in FILES.items() if folder else ():
        path = folder / f"{name}.csv"
        yield name, sides_of("table", {"path": str(path), "target": target})


def _write(name: str, path: Path) -> None:
    from sklearn import datasets

    getattr(datasets, f"load_{name}")(as_frame=True).frame.to_csv(path, index=False)


def sides_of(name: str, given: dict[str, Any]) -> Sides:
    """Tables of a problem as the stage `generate` makes and checks them."""
    problem = problems.get(name)
    params = problems.parse(problem, given)
    raw = problem.load(params)
    goal, features = problem.goal(raw, params), problem.features(raw, params)
    split = problem.split(features, raw, params)
    return Sides.of(
        features.assign(**{SPLIT: split}),
        goal.target,
        goal.kind,
        raw=raw,
        left_out=left_out_of(problem.schema(raw, params)),
        parameters=tuple(type(params).model_fields),
    )


def _tell(one: Seen) -> None:
    shape = f"{len(one.sides.target):>6} x {one.sides.features.shape[1]:<3}"
    said = [f"{kind.value}: {one.cell(kind)}" for kind in WarningKind if one.cell(kind)]
    print(f"{one.name:<20} {shape} {one.seconds:5.1f} s   {' | '.join(said) or '-'}", flush=True)


def _sum_up(seen: list[Seen]) -> None:
    """Print how many tables each kind warns of, rightly, falsely, and not though it should."""
    counts: Counter[tuple[str, str]] = Counter()
    for one in seen:
        for kind in WarningKind:
            is_known, is_said = kind in KNOWN.get(one.name, set()), kind in one.kinds
            what = {(True, True): "right", (True, False): "missed", (False, True): "false"}
            counts[kind, what.get((is_known, is_said), "silent")] += 1
    print(f"\n{'kind':<12} {'right':>6} {'missed':>7} {'false':>6} {'silent':>7}  false alarms")
    for kind in WarningKind:
        right, missed, false, silent = (
            counts[kind, what] for what in ("right", "missed", "false", "silent")
        )
        rate = false / max(false + silent, 1)
        if kind is not WarningKind.USELESS:  # of a model, not of a table
            print(
                f"{kind.value:<12} {right:>6} {missed:>7} {false:>6} {silent:>7}  {rate:.0%} of"
                f" {false + silent} tables without cause"
            )
    print(f"slowest: {max(one.seconds for one in seen):.1f} s")


if __name__ == "__main__":
    main()
