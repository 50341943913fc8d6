"""Chains while things go wrong: how many are lost, doubled or stuck.

Starts a Baton in a temporary home and chains in it, makes faults at random moments, waits for
every chain to end, and prints what became of them. A chain is *lost* if it ended without its last
stage and without a reason of its own, *doubled* if one data set has two model versions, *stuck* if
it did not end in time. The exit code is 1 if there is any of them.

With SQLite it is a `baton up`; with PostgreSQL (and Redis) two Prefect servers, MLflow and two
serve processes, set up as compose.yaml says. Workers are killed where there are workers: a part
of the chains is run by two of them.

    .venv/bin/python benchmarks/chaos.py --faults 100 --seed 1
    .venv/bin/python benchmarks/chaos.py --faults 100 --seed 1 --database postgresql
    .venv/bin/python benchmarks/chaos.py --faults 10 --kinds run,template
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from composed import composed, worked
from faults import KINDS, Struck, left_out, mounted, movable_clock, own_mounts, set_clock
from measured import end_in_order
from standing import Ended, Json, Memory, Standing, all_runs, doubled

from tasks.platform.api import ApiError
from tests.services import NobodyAnswersError

_LEAST_CHAINS = 8
_FAULTS_PER_CHAIN = 4
_WAITS = {"AwaitingRetry", "Crashed", "Late", "Retrying"}


def main() -> None:
    """Make faults, wait, print."""
    end_in_order()
    options = _parsed()
    if "disk full" in options.kinds:
        own_mounts()
    rounds: list[Round] = []
    try:
        for one in _rounds(options):
            rounds.append(_made(options, *one))
    except NobodyAnswersError as error:
        print(f"chaos: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    finally:
        if rounds:
            _print(rounds)
    ended = [one.ended for one in rounds]
    raise SystemExit(any(one.lost or one.doubled or one.stuck for one in ended))


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--faults", type=int, default=10, help="how many (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of kinds and moments")
    parser.add_argument(
        "--chains",
        type=int,
        help=f"begun while faults happen (default: one for {_FAULTS_PER_CHAIN} faults, at least"
        f" {_LEAST_CHAINS})",
    )
    parser.add_argument(
        "--kinds",
        type=lambda text: text.split(","),
        help="what happens, with commas between: run (kill -9 of the process of a stage), template"
        " (of the process that forks them), serve, server, worker, mlflow; up (SIGTERM or SIGKILL"
        " of the whole), database connection (all are ended), disk full, disk slow (no"
        " transaction ends for some seconds), clock jump (by up to two hours); default all that"
        " this machine can make",
    )
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument(
        "--patience",
        type=float,
        default=300.0,
        help="seconds after the last fault until a chain"
        " that has not ended is stuck (default %(default)s)",
    )
    parser.add_argument("--rows", type=int, default=2000, help="of each chain's table")
    parser.add_argument("--folder", help="where the temporary home is made")
    parser.add_argument("--keep", help="folder to copy the home to in the end, to look at it")
    options = parser.parse_args()
    _choose(parser, options)
    options.chains = options.chains or max(_LEAST_CHAINS, options.faults // _FAULTS_PER_CHAIN)
    return options


def _choose(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Settle the kinds, and say which cannot be had."""
    missing = left_out(options.database)
    if options.kinds is None:
        for kind, why in missing.items():
            print(f"left out: {kind} ({why})", file=sys.stderr)
        options.kinds = [kind for kind in KINDS if kind not in missing]
    if unknown := set(options.kinds) - set(KINDS):
        parser.error(f"no such kind: {', '.join(sorted(unknown))}; there are {', '.join(KINDS)}")
    if absent := set(options.kinds) & set(missing):
        parser.error("; ".join(f"{kind}: {missing[kind]}" for kind in sorted(absent)))


def _rounds(options: argparse.Namespace) -> Iterator[tuple[str, list[str], int]]:
    """What runs the chains, its faults, and how many chains: workers have a round of their own."""
    drawn = random.Random(options.seed).choices(options.kinds, k=options.faults)
    for_workers = [kind for kind in drawn if kind == "worker"]
    others = [kind for kind in drawn if kind != "worker"]
    n_worked = round(options.chains * len(for_workers) / max(1, len(drawn)))
    if others:
        yield "serving", others, max(1, options.chains - n_worked)
    if for_workers:
        yield "workers", for_workers, max(1, n_worked)


def _made(options: argparse.Namespace, runner: str, kinds: list[str], n_chains: int) -> Round:
    with tempfile.TemporaryDirectory(prefix="baton-chaos-", dir=options.folder) as folder:
        one = Round(runner, kinds, n_chains, options, Path(folder))
        one.make()
    return one


# --- faults and chains ----------------------------------------------------------------------------


class Recoveries(threading.Thread):
    """Looks how long a run waits, from the fault before it until it is going again.

    By the monotonic clock: that of the server may be moved.
    """

    def __init__(self, standing: Standing) -> None:
        super().__init__(daemon=True)
        self.standing = standing
        self.is_over = threading.Event()
        self.last_fault = time.monotonic()
        self.waiting: dict[str, float] = {}
        self.n_begun_again, self.longest = 0, 0.0

    def run(self) -> None:
        """Look every second."""
        while not self.is_over.wait(1.0):
            try:
                with self.standing.client() as client:
                    runs = list(all_runs(client))
            except (ApiError, TypeError, OSError):
                continue
            for run in runs:
                self._see(run["id"], run["state_name"])

    def _see(self, run_id: str, name: str) -> None:
        if name in _WAITS:
            self.waiting.setdefault(run_id, self.last_fault)
        elif name in {"Running", "Completed", "Cached"} and run_id in self.waiting:
            self.n_begun_again += 1
            waited = time.monotonic() - self.waiting.pop(run_id)
            self.longest = max(self.longest, waited)


@dataclass
class Round:
    """Chains and faults in turn, by the seed, with one way of running them."""

    runner: str
    """What runs the chains: serving, or workers."""
    kinds: list[str]
    n_chains: int
    options: argparse.Namespace
    folder: Path
    ended: Ended = field(default_factory=Ended)
    struck: Counter[str] = field(default_factory=Counter)
    n_locked: int = 0
    peak_kib: int = 0
    n_begun_again: int = 0
    longest_recovery: float = 0.0

    def make(self) -> None:
        """Begin all chains, make all faults, wait for all to end."""
        self.random = random.Random(f"{self.options.seed} {self.runner}")
        (self.folder / "home").mkdir()
        with self._disk(), self._running() as (standing, databases, clock):
            self.standing = standing
            memory, recoveries = Memory(standing), Recoveries(standing)
            self.at_stake = Struck(standing, self.random, clock, databases)
            try:
                standing.keep()
                memory.start()
                recoveries.start()
                self._begin_all(recoveries)
                if clock:
                    set_clock(clock, 0)
                self._wait()
                self.ended.doubled = doubled(standing.home, databases.get("mlflow"))
            finally:
                memory.is_over.set()
                recoveries.is_over.set()
                standing.end()
                self._keep()
            self.n_locked, self.peak_kib = standing.n_locked, memory.peak_kib
            self.n_begun_again = recoveries.n_begun_again
            self.longest_recovery = recoveries.longest

    def _keep(self) -> None:
        """Copy everything to where it was asked for."""
        if self.options.keep:
            kept = f"{self.options.keep}-{self.runner}"
            subprocess.run(["cp", "-r", self.folder, kept], check=False)

    def _disk(self) -> AbstractContextManager[None]:
        """Disk of the home alone, where it is to be full."""
        return mounted(self.folder / "home") if "disk full" in self.kinds else nullcontext()

    @contextmanager
    def _running(self) -> Iterator[tuple[Standing, dict, Path | None]]:
        clock, extra = None, {}
        if "clock jump" in self.kinds:
            clock, extra = movable_clock(self.folder)
        by_workers = self.runner == "workers"
        if self.options.database == "postgresql":
            with composed(self.folder, extra, by_workers=by_workers) as (standing, team):
                yield standing, team.databases, clock
        elif by_workers:
            with worked(self.folder, extra) as standing:
                yield standing, {}, clock
        else:
            pages = () if "mlflow" in self.kinds else ("--no-mlflow",)
            with nullcontext(Standing(self.folder / "home", extra, pages)) as standing:
                yield standing, {}, clock

    def _begin_all(self, recoveries: Recoveries) -> None:
        self.begun: list[str] = []
        left = list(range(self.n_chains))
        for turn, kind in enumerate(self.kinds):
            n_due = max(1, round(len(left) / (len(self.kinds) - turn)))
            for number in [left.pop(0) for _ in range(min(n_due, len(left)))]:
                self.begin(number)
            time.sleep(self.random.uniform(0.5, 5.0))
            said = KINDS[kind](self.at_stake)
            recoveries.last_fault = time.monotonic()
            self.struck[said] += 1
            print(f"{datetime.now(UTC):%H:%M:%S} {turn + 1:3} {said}", file=sys.stderr)
            if kind in {"serve", "server"}:
                time.sleep(2.0)  # a `baton up` that does not start it again ends now
            self.standing.keep()
        for number in left:
            self.begin(number)

    def begin(self, number: int) -> None:
        """Begin a chain of a seed of its own; again until the server says that it did."""
        table = {"rows": self.options.rows, "seed": 1000 * self.options.seed + number}
        self.begun.append(self.standing.begin(table, f"chaos {self.runner} {number}"))

    def _wait(self) -> None:
        end = time.monotonic() + self.options.patience
        while time.monotonic() < end:
            self.standing.keep()
            self.ended.look(self.standing, self.begun)
            if "stuck" not in self.ended.chains.values():
                return
            time.sleep(1.0)


def _print(rounds: list[Round]) -> None:
    kinds: Counter[str] = sum((one.struck for one in rounds), Counter())
    ended = [one.ended for one in rounds]

    def total(how: str) -> int:
        return sum(one.count(how) for one in ended)

    said: Json = {
        "chains": f"{sum(len(one.chains) for one in ended)}, completed {total('completed')}",
        "faults": ", ".join(f"{kind} {n}" for kind, n in sorted(kinds.items())),
        "given up": total("given up"),
        "lost": total("lost"),
        "twice": sum(one.doubled for one in ended),
        "stuck": total("stuck"),
        "runs begun again": sum(one.n_begun_again for one in rounds),
        "longest recovery": f"{max(one.longest_recovery for one in rounds):.1f} s",
        "peak memory": f"{max(one.peak_kib for one in rounds) / 1024:.0f} MiB",
        "database locked": sum(one.n_locked for one in rounds),
    }
    for name, value in said.items():
        print(f"{name:<17} {value}")
    for one in ended:
        for chain, reason in one.reasons.items():
            if reason:
                print(f"  chain {chain} {one.chains[chain]}: {reason}")


if __name__ == "__main__":
    main()
