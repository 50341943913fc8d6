"""Drift of many columns: how fast, how often a false alarm, how small a shift is seen.

Without more, new rows are counted in batches, the same ones again and again, and compared with a
profile; prints seconds of the profile, of the counting and of the comparison, cells a second, and
the greatest memory in MB. The memory is that of one batch, whatever the number of rows.

`--false-alarms N` draws N pairs of tables of one distribution and prints how many were alarms: at
`--level`, with no least shift, so that chance alone decides. Their columns depend on each other,
have ties, many zeros, rare levels, thousands of levels and missing values. `--classifier` asks it,
too. `--power` prints the part of the alarms by rows and by the shift of one of 20 columns, in
standard deviations.

    .venv/bin/python benchmarks/drift.py --columns 1000 --rows 1000000
    .venv/bin/python benchmarks/drift.py --false-alarms 1000
    .venv/bin/python benchmarks/drift.py --power
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

__path__ = [str(Path(__file__).parent.parent / "serving")]
"""Baton's own package has the same name: the programs here find its modules through this one."""

BATCH = 50_000
_LEARNT = 20_000
"""Rows of a profile that power is measured with."""


def numbers(random: np.random.Generator, n_rows: int, n_columns: int) -> pd.DataFrame:
    """Columns of normal numbers."""
    table = random.normal(size=(n_columns, n_rows))
    return pd.DataFrame({f"x{n}": one for n, one in enumerate(table)}, copy=False)


def everything(random: np.random.Generator, n_rows: int, n_each: int = 2) -> pd.DataFrame:
    """Columns of every kind that is hard to judge, all with one part in common."""
    common = random.normal(size=n_rows)
    found: dict[str, object] = {}
    for n in range(n_each):
        own = [common + random.normal(size=n_rows) for _ in range(7)]
        found |= {
            f"number {n}": own[0],
            f"zeros {n}": np.where(own[1] < 0.5, 0, own[1]),
            f"ties {n}": np.round(own[2]),
            f"missing {n}": np.where(own[3] > 0, np.nan, own[3]),
            f"rare {n}": pd.Series(np.digitize(own[4], [2, 3, 3.5, 4, 4.5])).map(str),
            f"many {n}": pd.Series((np.exp(own[5]) * 100).astype(int)).map("id {}".format),
            f"flag {n}": own[6] > 3.5,
            f"flat {n}": pd.Series(random.integers(0, 500, n_rows)).map("level {}".format),
        }
    return pd.DataFrame(found)


def speed(n_columns: int, n_rows: int, batch: int) -> list[str]:
    """Lines of what a comparison takes."""
    from baton.monitoring.drift import Watch, compare
    from baton.monitoring.profile import Counts, profile_of

    random = np.random.default_rng(0)
    learnt, took = numbers(random, min(n_rows, batch), n_columns), {}
    begin = time.perf_counter()
    counts = Counts(profile_of(learnt))
    took["profile"] = time.perf_counter() - begin
    took["counting"] = 0.0
    for first in range(0, n_rows, batch):  # drawing new ones would take longer than to count them
        frame = learnt.iloc[: n_rows - first]
        begin = time.perf_counter()
        counts.add(frame)
        took["counting"] += time.perf_counter() - begin
    begin = time.perf_counter()
    compare(counts, Watch())
    took["comparing"] = time.perf_counter() - begin
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024**2 if _is_mac() else 1024)
    rate = n_columns * n_rows / max(took["counting"], 1e-9)
    seconds = [f"{name:<10}{value:>10.2f} s" for name, value in took.items()]
    return [*seconds, f"{rate / 1e6:.0f} million cells a second, at most {most:.0f} MB"]


def _is_mac() -> bool:
    return sys.platform == "darwin"


def false_alarms(n_pairs: int, level: float, *, asks_classifier: bool) -> list[str]:
    """A line for each size: how many of so many pairs of like tables were alarms."""
    lines = []
    for n_before, n_now in ((2_000, 50), (200, 200), (5_000, 1_000)):
        found = alarms(n_before, n_now, n_pairs, level, asks_classifier)
        sizes = f"{n_before:>6} rows before, {n_now:>5} now"
        lines.append(f"{sizes}: {found} of {n_pairs} alarms, at most {level * n_pairs:g} expected")
    return lines


def alarms(n_before: int, n_now: int, n_pairs: int, level: float, asks_classifier: bool) -> int:
    """How many of so many pairs of like tables are alarms."""
    from baton.monitoring.drift import Watch, compare, with_classifier
    from baton.monitoring.profile import Counts, profile_of

    found, watch = 0, Watch(level=level, psi=0, least_rows=50)
    for seed in range(n_pairs):
        random = np.random.default_rng([seed, n_before, n_now])
        before, now = everything(random, n_before), everything(random, n_now)
        counts = Counts(profile_of(before))
        counts.add(now)
        drift = compare(counts, watch)
        if asks_classifier:
            drift = with_classifier(drift, before, now, seed)
        found += drift.is_drifted
    return found


def power(n_tables: int) -> list[str]:
    """Lines of a table: part of the alarms by rows and shift."""
    from baton.monitoring.profile import profile_of

    profile = profile_of(numbers(np.random.default_rng(0), _LEARNT, 20))
    shifts = (0.0, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5)
    lines = [f"{'rows':>7}" + "".join(f"{shift:>7}" for shift in shifts)]
    for n_rows in (50, 100, 200, 500, 1_000, 5_000):
        shares = [_seen(profile, n_rows, shift, n_tables) for shift in shifts]
        lines.append(f"{n_rows:>7}" + "".join(f"{share:>7.2f}" for share in shares))
    return lines


def _seen(profile: object, n_rows: int, shift: float, n_tables: int) -> float:
    from baton.monitoring.drift import Watch, compare
    from baton.monitoring.profile import Counts

    found = 0
    for seed in range(n_tables):
        counts = Counts(profile)
        rows = numbers(np.random.default_rng([seed, n_rows]), n_rows, 20)
        counts.add(rows.assign(x0=rows.x0 + shift))
        found += compare(counts, Watch()).is_drifted
    return found / n_tables


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--columns", type=int, default=1_000, help="(default 1000)")
    parser.add_argument("--rows", type=int, default=1_000_000, help="(default 1000000)")
    parser.add_argument("--batch", type=int, default=BATCH, help="rows at a time (default 50000)")
    parser.add_argument("--false-alarms", type=int, metavar="N", help="pairs of like tables")
    parser.add_argument("--level", type=float, default=0.01, help="of them (default 0.01)")
    parser.add_argument("--classifier", action="store_true", help="ask it of them, too")
    parser.add_argument("--power", action="store_true", help="by rows and shift")
    parser.add_argument("--tables", type=int, default=50, help="of each size (default 50)")
    options = parser.parse_args()
    if options.false_alarms:
        asks = options.classifier
        lines = false_alarms(options.false_alarms, options.level, asks_classifier=asks)
    elif options.power:
        lines = power(options.tables)
    else:
        lines = speed(options.columns, options.rows, options.batch)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
