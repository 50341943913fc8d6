"""What every stage does with a table: it is written, read, and its columns transformed.

Baton's Parquet beside pandas', the spheres' transform beside the same in one line of numpy, and
their points beside `make_blobs`, medians in turn. Tables are of random numbers, which no
compression helps.

    .venv/bin/python benchmarks/table_work.py
    .venv/bin/python benchmarks/table_work.py --rows 100000 --repeats 3
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from row import Row, growth, in_turn, tell, temporary_home
from sklearn.datasets import make_blobs

from baton.problems.blobs import Blobs
from baton.problems.spheres import AT_ONCE, spherical
from tasks.platform.results import ParquetSerializer

ROWS = 1_000_000
REPEATS = 7


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    options = parser.parse_args()
    tell(rows(options.rows, options.repeats))


def rows(n_rows: int = ROWS, repeats: int = REPEATS) -> list[Row]:
    """Rows of the table of `make bench`."""
    with temporary_home() as folder:
        return [
            *_files(folder, n_rows, repeats),
            _transform(n_rows, repeats),
            _made(n_rows, repeats),
        ]


def _table(n_rows: int) -> pd.DataFrame:
    random = np.random.default_rng(0)
    table = pd.DataFrame(random.normal(size=(n_rows, 4)), columns=list("xyzw"))
    return table.assign(cluster=random.integers(0, 3, n_rows))


def _files(folder: Path, n_rows: int, repeats: int) -> list[Row]:
    sizes = (n_rows // 4, n_rows // 2, n_rows)
    each = [_file(folder, one, repeats) for one in sizes]
    wrote, read = each[-1]
    what = f"a table, {n_rows:,} × 5"
    grows = [growth(sizes, [one[place][0] for one in each]) for place in (0, 1)]
    return [
        Row(f"write {what}", wrote[0] * 1e3, wrote[1] * 1e3, "ms", "to_parquet", "4 ×", grows[0]),
        Row(f"read {what}", read[0] * 1e3, read[1] * 1e3, "ms", "read_parquet", "6 ×", grows[1]),
    ]


def _file(
    folder: Path, n_rows: int, repeats: int
) -> tuple[tuple[float, float], tuple[float, float]]:
    frame, serializer = _table(n_rows), ParquetSerializer()
    table = pa.Table.from_pandas(frame)
    own, other = folder / "own.parquet", folder / "other.parquet"
    wrote = in_turn(
        lambda: own.write_bytes(serializer.dumps(table)), lambda: frame.to_parquet(other), repeats
    )
    read = in_turn(lambda: pq.read_table(own).to_pandas(), lambda: pd.read_parquet(other), repeats)
    return wrote, read


def _transform(n_rows: int, repeats: int) -> Row:
    sizes = (n_rows // 4, n_rows // 2, n_rows)
    seconds = [_seconds(one, repeats) for one in sizes]
    ours, plain = (n_rows / one / 1e6 for one in seconds[-1])
    return Row(
        f"Cartesian to spherical, {n_rows:,} points",
        ours,
        plain,
        "M rows/s",
        "numpy's hypot and arctan2",
        "4.5 ×",
        growth(sizes, [one[0] for one in seconds]),
        is_rate=True,
    )


def _made(n_rows: int, repeats: int) -> Row:
    """Making clusters: by pieces, and as scikit-learn does."""
    blobs = Blobs(n_rows, modes=3, dims=3, std=2.0, seed=0)

    def ours() -> None:
        for _ in blobs.pieces(AT_ONCE):
            pass

    def by_scikit() -> None:
        make_blobs(n_rows, n_features=3, centers=3, cluster_std=2.0, random_state=0)

    own, plain = in_turn(ours, by_scikit, max(1, repeats // 2))
    what = f"making clusters, {n_rows:,} × 3, the same points"
    rates = (n_rows / own / 1e6, n_rows / plain / 1e6)
    return Row(what, *rates, "M rows/s", "make_blobs", "6 ×", is_rate=True)


def _seconds(n_rows: int, repeats: int) -> tuple[float, float]:
    points = _table(n_rows)[["x", "y", "z"]]
    return in_turn(lambda: spherical(points), lambda: _by_numpy(points), repeats)


def _by_numpy(points: pd.DataFrame) -> pd.DataFrame:
    """The same, as exact for points that are very near or very far."""
    x, y, z = (points[axis].to_numpy() for axis in "xyz")
    in_plane = np.hypot(x, y)
    phi = np.arctan2(y, x)
    return pd.DataFrame(
        {
            "r": np.hypot(in_plane, z),
            "theta": np.arctan2(in_plane, z),
            "phi": np.where(phi == -np.pi, np.pi, phi),
        }
    )


if __name__ == "__main__":
    main()
