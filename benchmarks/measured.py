"""What is common to programs that begin chains and wait for them: burst and soak.

Their options, what they ask for, what became of the chains and how it is said. What stands, and
how one sees what became of a chain, belong in ``standing.py`` and ``composed.py``.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa
from composed import composed
from standing import Ended, Json, Memory, Standing

TERMINATED = 143
"""Exit code of a program that SIGTERM has ended."""

DATABASES = ("sqlite", "postgresql")


def end_in_order() -> None:
    """Have SIGTERM end the program as a fault does: what was made is taken away then too."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))


def parser_of(text: str) -> argparse.ArgumentParser:
    """Parser of what all of these programs take."""
    parser = argparse.ArgumentParser(
        description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=1, help="of the chains' tables")
    parser.add_argument(
        "--database",
        choices=DATABASES,
        default="sqlite",
        help="a `baton up`; or two Prefect servers, MLflow and two serve processes on PostgreSQL"
        " and Redis, set up as compose.yaml says, where BATON_TEST_POSTGRESQL and BATON_TEST_REDIS"
        " are, on databases that are dropped afterwards",
    )
    parser.add_argument("--rows", type=int, default=2000, help="of each chain's table")
    parser.add_argument("--folder", help="where the temporary home is made")
    parser.add_argument("--keep", help="folder to copy the home to in the end, to look at it")
    return parser


@contextmanager
def standing_in(
    options: argparse.Namespace, *up: str, **more: str
) -> Iterator[tuple[Standing, Memory, dict[str, sa.URL]]]:
    """What these options ask for in a temporary home, a watch of its memory, its databases."""
    end_in_order()
    with (
        tempfile.TemporaryDirectory(prefix="baton-", dir=options.folder) as folder,
        _made(options.database, Path(folder), up, more) as (standing, databases),
    ):
        standing.home.mkdir(exist_ok=True)
        watch = Memory(standing)
        try:
            standing.keep()
            watch.start()
            yield standing, watch, databases
        finally:
            watch.is_over.set()
            standing.end()
            if options.keep:
                shutil.copytree(standing.home, options.keep, dirs_exist_ok=True)


@contextmanager
def _made(
    database: str, folder: Path, up: tuple[str, ...], more: dict[str, str]
) -> Iterator[tuple[Standing, dict[str, sa.URL]]]:
    """A standing Baton, by Prefect's and MLflow's database."""
    if database == "postgresql":
        with composed(folder, more) as (standing, team):
            yield standing, team.databases
        return
    home = folder / "home"
    files = {"prefect": home / "prefect" / "prefect.db", "mlflow": home / "mlflow" / "mlflow.db"}
    yield Standing(home, more, up), {k: sa.make_url(f"sqlite:///{v}") for k, v in files.items()}


# --- what became of chains ------------------------------------------------------------------------


@dataclass
class Waited(Ended):
    """What became of chains that were waited for, and how long each took."""

    seconds: dict[str, float] = field(default_factory=dict)
    """From when each was asked for to the end of its last run."""

    def see(self, chain: str, runs: list[Json]) -> None:
        """Note how far a chain is, by its runs, and how long it took."""
        super().see(chain, runs)
        self.seconds[chain] = lasted(runs)

    def wait(self, standing: Standing, begun: list[str], patience: float) -> None:
        """Wait until all of them have ended, or none of them has for so many seconds."""
        n_going, since = len(begun) + 1, time.monotonic()
        while True:
            standing.keep()
            self.look(standing, begun)
            if self.stuck < n_going:
                n_going, since = self.stuck, time.monotonic()
            if not n_going or time.monotonic() - since > patience:
                return
            time.sleep(2.0)

    def tell(self, standing: Standing, watch: Memory, minutes: float) -> None:
        """Print it."""
        print(f"chains            {len(self.chains)}, completed {self.count('completed')}")
        print(f"lost              {self.lost + self.count('given up')}")
        print(f"twice             {self.doubled}")
        print(f"stuck             {self.stuck}")
        print(f"chains per minute {self.count('completed') / minutes:.1f}")
        print(f"longest chain     {max(self.seconds.values(), default=0.0):.1f} s")
        print(f"peak memory       {watch.peak_kib / 1024:.0f} MiB")
        print(f"database locked   {standing.n_locked}")
        for chain, reason in self.reasons.items():
            if reason:
                print(f"  chain {chain} {self.chains[chain]}: {reason}")

    @property
    def is_whole(self) -> bool:
        """Tell whether every chain completed, and once."""
        return self.count("completed") == len(self.chains) and not self.doubled


def lasted(runs: list[Json]) -> float:
    """Seconds from the first run of a chain to the end of its last one; 0.0 while there is none."""
    ends = [datetime.fromisoformat(run["end_time"]) for run in runs if run["end_time"]]
    begins = [datetime.fromisoformat(run["created"]) for run in runs]
    return (max(ends) - min(begins)).total_seconds() if ends else 0.0
