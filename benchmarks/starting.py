"""How long a chain takes to begin: in a fresh home, in a used one, and beside a `baton up`.

`baton run iris` in a process of its own, from the command to the first line of the first stage and
to its end, with BATON_FAST=1 and BATON_FAST=0 in turn, medians. The user's cache is one of the
benchmark's own. The first line is when the first run of the chain began to run, by its server's
database. A used home has the results of its chain, so that what a stage makes is made but once.

    .venv/bin/python benchmarks/starting.py
    .venv/bin/python benchmarks/starting.py --repeats 1 --only fresh used
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from row import Row, tell

REPEATS = 3
BATON = Path(sys.executable).with_name("baton")
SITUATIONS = {
    "first": "the user's first home",
    "fresh": "a fresh home",
    "used": "a used home",
    "beside": "beside `baton up`",
}
_TARGETS = {"first": "", "fresh": "5 s", "used": "4 s", "beside": ""}
_TARGETS_WHOLE = {"first": "", "fresh": "", "used": "8 s", "beside": "4 s"}


@dataclass(frozen=True)
class Start:
    """A `baton run iris`, in seconds from the command."""

    first_line: float
    whole: float


@dataclass(frozen=True)
class Place:
    """Where Baton is started: a folder that has a home and a cache, with or without fast paths."""

    folder: Path
    fast: bool

    @property
    def home(self) -> Path:
        """Home of it."""
        return self.folder / "home"

    @property
    def environment(self) -> dict[str, str]:
        """Environment of its commands."""
        own = {"BATON_HOME": str(self.home), "XDG_CACHE_HOME": str(self.folder / "cache")}
        free = {f"BATON_{one}_PORT": "0" for one in ("PREFECT", "MLFLOW", "PAGES", "ANNOUNCE")}
        return os.environ | own | free | {"BATON_FAST": str(int(self.fast))}

    def run(self) -> Start:
        """Run a chain."""
        began, clock = datetime.now(UTC), time.perf_counter()
        done = subprocess.run(
            [BATON, "run", "iris"],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"baton run iris: {done.stderr}")
        whole = time.perf_counter() - clock
        return Start((self._first_line(began) - began).total_seconds(), whole)

    def _first_line(self, since: datetime) -> datetime:
        """When the first run after a moment began."""
        database = f"file:{self.home / 'prefect' / 'prefect.db'}?mode=ro"
        asked = "select min(start_time) from flow_run where created > ? and start_time is not null"
        then = since.replace(tzinfo=None).isoformat(" ")
        with closing(sqlite3.connect(database, uri=True)) as connection:
            (found,) = connection.execute(asked, (then,)).fetchone()
        return datetime.fromisoformat(found).replace(tzinfo=UTC)

    def empty(self, *names: str) -> None:
        """Begin anew: without a home, or without a cache."""
        subprocess.run(["rm", "-rf", *(self.folder / name for name in names)], check=True)

    @contextmanager
    def up(self) -> Iterator[None]:
        """A standing Baton."""
        ready = self.home / "up.json"
        command = [BATON, "up", "--no-mlflow"]
        silent = subprocess.DEVNULL
        process = subprocess.Popen(command, env=self.environment, stdout=silent, stderr=silent)
        try:
            while not ready.exists():
                if process.poll() is not None:
                    raise SystemExit(f"baton up ended with code {process.returncode}")
                time.sleep(0.1)
            time.sleep(10.0)  # what is imported later is imported
            yield
        finally:
            process.terminate()
            process.wait()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--repeats", type=int, default=REPEATS, help=f"starts of each kind ({REPEATS})"
    )
    said = "; ".join(f"{name}: {what}" for name, what in SITUATIONS.items())
    parser.add_argument(
        "--only", nargs="+", choices=SITUATIONS, default=list(SITUATIONS), help=said
    )
    options = parser.parse_args()
    tell(rows(options.repeats, options.only))


def rows(repeats: int = REPEATS, only: Sequence[str] = tuple(SITUATIONS)) -> list[Row]:
    """Rows of the table of `make bench`."""
    found: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="baton-") as folder:
        places = [Place(Path(folder, name), fast=name == "fast") for name in ("fast", "slow")]
        for place in places:
            place.run()  # imports are compiled then, and there is a cache
        for situation in only:
            fast, slow = _measured(situation, places, repeats)
            found += _rows_of(situation, fast, slow)
    return found


def _measured(situation: str, places: Sequence[Place], repeats: int) -> list[list[Start]]:
    """Starts of each place in a situation, one place after the other so many times."""
    taken: list[list[Start]] = [[] for _ in places]
    for _ in range(repeats):
        for place, starts in zip(places, taken, strict=True):
            starts.append(_started(situation, place))
    return taken


def _started(situation: str, place: Place) -> Start:
    if situation == "beside":
        with place.up():
            return place.run()
    if situation != "used":
        place.empty("home", *(["cache"] if situation == "first" else []))
    return place.run()


def _rows_of(situation: str, fast: Sequence[Start], slow: Sequence[Start]) -> list[Row]:
    def median(starts: Sequence[Start], which: str) -> float:
        return statistics.median(getattr(one, which) for one in starts)

    names = {"first_line": "to the first line", "whole": "whole"}
    targets = {"first_line": _TARGETS[situation], "whole": _TARGETS_WHOLE[situation]}
    return [
        Row(
            f"`baton run iris`, {said}, {SITUATIONS[situation]}",
            median(fast, which),
            median(slow, which),
            "s",
            "BATON_FAST=0",
            targets[which],
        )
        for which, said in names.items()
    ]


if __name__ == "__main__":
    main()
