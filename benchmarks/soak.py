"""Chains one after the other for a long time: what grows with each of them.

Starts a `baton up` in a temporary home and chains in it, one at a time. After each, when nothing
runs, it measures the processes that stay and what lies in the home, and in the end prints the slope
of each measure over the chains after a warm-up, with its 99 % interval. A measure *grows* if its
interval is above zero over all of them and over each half: what is filled once and then stays is
no growth per chain. What a chain is there to leave, its rows and records, is not judged.
The exit code is 1 if a chain did not complete, or did so twice, or something grows.

    .venv/bin/python benchmarks/soak.py --minutes 60
    .venv/bin/python benchmarks/soak.py --minutes 60 --every 20 --database postgresql
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from measured import Waited, parser_of, standing_in
from scipy.stats import theilslopes
from standing import Standing, doubled, parent_of, until

KINDS = ("server", "serve", "template", "mlflow")
KEPT = ("results", "chains", "mlflow")
"""Folders of what a chain is there to leave."""
WARM_UP = 0.2
"""Part of the chains that is not looked at."""
FEWEST = 6
"""Chains after the warm-up from which a slope says something."""
NEGLIGIBLE = {"KiB": 10.0}
"""Slopes that are called growth only beyond this: a thousand chains make ten megabytes."""
_REST_SECONDS = 30.0
Sample = dict[str, float]


def main() -> None:
    """Run chains, measure, print."""
    options = _parsed()
    with (
        tempfile.TemporaryDirectory(prefix="baton-tmp-") as temporary,
        standing_in(options, TMPDIR=temporary) as (standing, watch, databases),
    ):
        began = time.monotonic()
        soak = Soak(standing, options, Path(temporary), databases)
        soak.run()
        minutes = (time.monotonic() - began) / 60
    soak.ended.tell(standing, watch, minutes)
    is_growing = tell_slopes(soak.samples)
    raise SystemExit(is_growing or not soak.ended.is_whole)


def _parsed() -> argparse.Namespace:
    parser = parser_of(__doc__ or "")
    parser.add_argument("--minutes", type=float, default=60.0, help="(default %(default)s)")
    parser.add_argument(
        "--every",
        type=float,
        default=0.0,
        help="seconds from the begin of a chain to that of the next; longer where it lasts longer"
        " (default %(default)s)",
    )
    parser.add_argument(
        "--patience",
        type=float,
        default=300.0,
        help="seconds until a chain is stuck (default %(default)s)",
    )
    return parser.parse_args()


class Soak:
    """Chains one after the other, and what was measured after each."""

    def __init__(
        self,
        standing: Standing,
        options: argparse.Namespace,
        temporary: Path,
        databases: dict[str, sa.URL],
    ) -> None:
        self.standing, self.options = standing, options
        self.temporary, self.databases = temporary, databases
        self.ended = Waited()
        self.begun: list[str] = []
        self.samples: list[Sample] = []

    def run(self) -> None:
        """Begin chains until the time is up."""
        end = time.monotonic() + 60 * self.options.minutes
        while time.monotonic() < end:
            due = time.monotonic() + self.options.every
            self._chain(len(self.begun))
            self.samples.append(self._measured())
            _say(len(self.begun), self.samples[-1])
            time.sleep(max(min(due, end) - time.monotonic(), 0.0))
        self.ended.doubled = doubled(self.standing.home, self.databases["mlflow"])

    def _chain(self, number: int) -> None:
        table = {"rows": self.options.rows, "seed": 1000 * self.options.seed + number}
        self.begun.append(self.standing.begin(table, f"soak {number}"))
        self.ended.wait(self.standing, self.begun[-1:], self.options.patience)
        until(lambda: not self.standing.of_kind("run"), _REST_SECONDS)

    def _measured(self) -> Sample:
        return {
            **_of_processes(self.standing),
            **_of_files(self.standing.home, self.temporary),
            **_of_databases(self.databases),
        }


def _say(n_chains: int, sample: Sample) -> None:
    memory = sum(value for name, value in sample.items() if name.endswith("memory, KiB"))
    print(f"{n_chains} chains, {memory / 1024:.0f} MiB at rest", file=sys.stderr)


# --- what is measured -----------------------------------------------------------------------------


def _of_processes(standing: Standing) -> Sample:
    kinds = {pid: kind for kind in KINDS for pid in standing.of_kind(kind)}
    kinds |= {standing.process.pid: "up"} if standing.process else {}
    sample: Counter[str] = Counter()
    for pid in standing.processes():
        kind = kinds.get(pid) or kinds.get(parent_of(pid), "others")  # MLflow's has a child
        with suppress(OSError):
            sample[f"{kind}: memory, KiB"] += own_kib(pid)
            sample[f"{kind}: open files"] += len(list(Path(f"/proc/{pid}/fd").iterdir()))
            sample[f"{kind}: threads"] += len(list(Path(f"/proc/{pid}/task").iterdir()))
    return dict(sample)


def own_kib(pid: int) -> int:
    """Memory that a process took for itself, whoever else has the same files mapped."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Anonymous:"):
            return int(line.split()[1])
    return 0


def _of_files(home: Path, temporary: Path) -> Sample:
    sample: Counter[str] = Counter({"temporary folder: files": 0})
    for folder, names in _walked(home, KEPT):
        top = folder.relative_to(home).parts[:2]
        sample[f"home/{'/'.join(top)}: files"] += names
    sample["temporary folder: files"] += sum(names for _, names in _walked(temporary, ()))
    sample["(logs, KiB)"] = sum(p.stat().st_size for p in (home / "logs").glob("*")) // 1024
    return dict(sample)


def _walked(top: Path, without: tuple[str, ...]) -> Iterator[tuple[Path, int]]:
    """Folders and how much is directly in each."""
    for folder, below, names in os.walk(top):
        if Path(folder) == top:
            below[:] = [name for name in below if name not in without]
        yield Path(folder), len(names) + len(below)


def _of_databases(databases: dict[str, sa.URL]) -> Sample:
    sample: Sample = {}
    for name, address in databases.items():
        engine = sa.create_engine(address)
        with engine.connect() as database:
            sample[f"({name}: size, KiB)"] = _size(database) / 1024
            for table in sa.inspect(engine).get_table_names():
                rows = database.scalar(sa.select(sa.func.count()).select_from(sa.table(table)))
                sample[f"({name}: rows of {table})"] = float(rows or 0)
        engine.dispose()
    return sample


def _size(database: sa.Connection) -> float:
    if database.dialect.name == "postgresql":
        return float(database.scalar(sa.text("select pg_database_size(current_database())")) or 0)
    path = str(database.engine.url.database)
    files = [Path(path + suffix) for suffix in ("", "-wal")]
    return float(sum(file.stat().st_size for file in files if file.exists()))


# --- slopes ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Slope:
    """How a measure changes from chain to chain."""

    name: str
    per_chain: float
    low: float
    high: float
    last: float
    is_steady: bool
    """Whether it rises in each half too."""

    @property
    def grows(self) -> bool:
        """Tell whether it is judged, and clearly above zero."""
        least = NEGLIGIBLE["KiB"] if self.name.endswith("KiB") else 0.0
        return not self.is_kept and self.is_steady and self.low > 0 and self.per_chain > least

    @property
    def is_kept(self) -> bool:
        """Tell whether it is what a chain is there to leave."""
        return self.name.startswith("(")


def slopes(samples: list[Sample]) -> list[Slope]:
    """Slopes of all measures, by the median of the slopes between pairs of chains.

    Parameters
    ----------
    samples : list of dict
        Measures by name after each chain.
    """
    later = samples[max(1, round(WARM_UP * len(samples))) :]
    if len(later) < FEWEST:
        return []
    names = sorted({name for sample in later for name in sample})
    return [_slope(name, [sample.get(name, 0.0) for sample in later]) for name in names]


def _slope(name: str, values: list[float]) -> Slope:
    middle = len(values) // 2
    per_chain, _, low, high = _fitted(values)
    is_steady = all(_fitted(half)[2] > 0 for half in (values[:middle], values[middle:]))
    return Slope(name, per_chain, low, high, values[-1], is_steady)


def _fitted(values: list[float]) -> tuple[float, float, float, float]:
    return tuple(float(number) for number in theilslopes(values, alpha=0.99))  # type: ignore[return-value]


def tell_slopes(samples: list[Sample]) -> bool:
    """Print slopes; tell whether anything grows."""
    found = slopes(samples)
    if not found:
        print(f"slopes            none: fewer than {FEWEST} chains after the warm-up")
    print(f"{'per chain':>12} {'99 % interval':>22} {'last':>12}", end="\n" if found else "")
    for one in found:
        if one.per_chain or one.last:
            interval = f"[{one.low:.2f}, {one.high:.2f}]"
            said = "  GROWS" if one.grows else ""
            print(f"{one.per_chain:12.2f} {interval:>22} {one.last:12.0f}  {one.name}{said}")
    return any(one.grows for one in found)


if __name__ == "__main__":
    main()
