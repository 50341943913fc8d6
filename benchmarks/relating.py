"""Aggregates of a related table: Baton beside featuretools, in an environment of its own.

One million rows of 10,000 owners; count, and six aggregates of each of two columns. Once of all
rows, and once for 500 pairs of an owner and a time, of what was known then. Both have their tables
put together before; seconds are of computing alone, in turn, and the values are compared.

    .venv/bin/python benchmarks/relating.py
    .venv/bin/python benchmarks/relating.py --rows 200000 --repeats 1
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from peers import environment
from row import Row, growth, tell

from baton.relational.compute import compute
from baton.relational.entityset import EntitySet
from baton.relational.planner import plan
from baton.relational.schema import Attribute, Entity, RelationalSchema, Relationship
from baton.terms import ColumnType

ROWS = 1_000_000
OWNERS = 10_000
CUTOFFS = 500
PRIMITIVES = ("count", "sum", "mean", "min", "max", "std", "median")
_TARGETS = {"whole": "8 ×", "cutoffs": "200 ×"}
_START = np.datetime64("2024-01-01", "us")
_YEAR_SECONDS = 365 * 86_400
_ALWAYS = datetime(9999, 12, 31)
Tables = dict[str, dict[str, Any]]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    tell(rows(options.rows, options.repeats))


def rows(n_rows: int = ROWS, repeats: int = 3) -> list[Row]:
    """Rows of the table of `make bench`; none where featuretools cannot be installed."""
    python = environment.python_of("featuretools")
    if python is None:
        return []
    tables = _tables(n_rows)
    with tempfile.TemporaryDirectory(prefix="baton-") as folder:
        for name, columns in tables.items():
            np.savez(Path(folder) / f"{name}.npz", **columns)
        peer = _Peer(python, Path(folder))
        try:
            return [_row(asked, tables, peer, repeats) for asked in _TARGETS]
        finally:
            peer.end()


def _tables(n_rows: int) -> Tables:
    random = np.random.default_rng(0)
    times = _START + np.sort(random.integers(0, _YEAR_SECONDS, n_rows)).astype("timedelta64[s]")
    asked = _START + random.integers(0, _YEAR_SECONDS, CUTOFFS).astype("timedelta64[s]")
    return {
        "owners": {"id": np.arange(OWNERS)},
        "things": {
            "id": np.arange(n_rows),
            "owner": random.integers(0, OWNERS, n_rows),
            "at": times,
            "amount": random.normal(50, 10, n_rows).round(2),
            "length": random.exponential(3, n_rows).round(3),
        },
        "asked": {"id": random.integers(0, OWNERS, CUTOFFS), "time": asked},
    }


def _row(asked: str, tables: Tables, peer: _Peer, repeats: int) -> Row:
    sizes = [len(tables["things"]["id"]) // part for part in (4, 2, 1)]
    own = {size: _asker(asked, tables, size) for size in sizes}
    taken: dict[int, list[float]] = {size: [] for size in sizes}
    theirs: list[float] = []
    for turn in range(repeats + 1):  # the first is not counted
        for size in sizes:
            began = time.perf_counter()
            found = own[size]()
            taken[size] += [time.perf_counter() - began] if turn else []
        theirs += [peer.seconds(asked)] if turn else []
    apart = _difference(found, peer.folder / f"{asked}.npz")
    medians = [statistics.median(taken[size]) for size in sizes]
    of = f"as of {CUTOFFS} times" if asked == "cutoffs" else f"for {OWNERS:,} owners"
    what = f"{found.width} aggregates of {sizes[-1]:,} rows {of} (differ by {apart:.0e})"
    cost = growth(sizes, medians)
    ordinary = statistics.median(theirs)
    return Row(what, medians[-1], ordinary, "s", "featuretools 1.31", _TARGETS[asked], cost)


def _asker(asked: str, tables: Tables, n_rows: int) -> Callable[[], pl.DataFrame]:
    """What computes the aggregates of so many rows of the things."""
    entities = _entities(tables, n_rows)
    features = plan(entities.schema, "owners", PRIMITIVES, 1)
    pairs = pl.DataFrame(tables["asked"])
    if asked == "whole":
        always = pl.repeat(_ALWAYS, OWNERS, dtype=pl.Datetime("us"), eager=True)
        pairs = pl.DataFrame({"id": range(OWNERS), "time": always})
    return lambda: compute(entities, features, pairs["id"], pairs["time"])


def _entities(tables: Tables, n_rows: int) -> EntitySet:
    columns = (
        Attribute("at", ColumnType.DATETIME),
        Attribute("amount", ColumnType.NUMBER),
        Attribute("length", ColumnType.NUMBER),
    )
    link = Relationship("owners", "id", "things", "owner")
    schema = RelationalSchema(
        (Entity("owners", "id"), Entity("things", "id", columns, "at")), (link,)
    )
    owners = pl.DataFrame(tables["owners"])
    things = pl.DataFrame(tables["things"]).gather_every(len(tables["things"]["id"]) // n_rows)
    return EntitySet.build(schema, {"owners": owners, "things": things})


def _difference(found: pl.DataFrame, path: Path) -> float:
    """Greatest difference of two values, as part of the greater one; missing are the same ones."""
    with np.load(path) as theirs:
        if set(theirs.files) != set(found.columns):
            raise SystemExit("the two did not make the same features")
        apart = [_apart(found[name].cast(pl.Float64).to_numpy(), theirs[name]) for name in theirs]
    return max(apart)


def _apart(ours: Any, theirs: Any) -> float:
    if not np.array_equal(np.isnan(ours), np.isnan(theirs)):
        raise SystemExit("other values are missing")
    most = np.nanmax(np.abs(theirs), initial=0.0)
    return float(np.nanmax(np.abs(ours - theirs), initial=0.0) / most)


class _Peer:
    """featuretools, its tables put together, waiting to be asked."""

    def __init__(self, python: Path, folder: Path) -> None:
        self.folder = folder
        script = environment.HERE / "featuretools_features.py"
        self.process = subprocess.Popen(
            [python, script, folder, ",".join(PRIMITIVES)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        if self._answer() != "ready":
            raise SystemExit("featuretools did not begin")

    def seconds(self, asked: str) -> float:
        assert self.process.stdin
        print(asked, file=self.process.stdin, flush=True)
        return float(self._answer())

    def _answer(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


if __name__ == "__main__":
    main()
