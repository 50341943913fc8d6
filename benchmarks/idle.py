"""What an idle `baton up` costs: its share of a core over a minute, and its memory.

With BATON_FAST=1 and BATON_FAST=0 in turn, each in a home of its own, after a chain has run. Memory
is what each process has for itself and its part of the pages that several share (PSS). MLflow's
pages are asked for by nobody.

    .venv/bin/python benchmarks/idle.py
    .venv/bin/python benchmarks/idle.py --seconds 20 --each
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from chain import told
from row import Row, tell
from standing import Standing, shared_kib

SECONDS = 60.0
_SETTLED_SECONDS = 20.0
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Idle:
    """What a process, or all, cost."""

    percent: float
    """Of a core."""
    mib: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=SECONDS, help="(default %(default)g)")
    parser.add_argument("--each", action="store_true", help="say it of each process, too")
    options = parser.parse_args()
    tell(rows(options.seconds, is_said=options.each))


def rows(seconds: float = SECONDS, *, is_said: bool = False) -> list[Row]:
    """Rows of the table of `make bench`."""
    found = []
    for fast in ("1", "0"):
        with _settled(fast) as standing:
            each = _measured(standing, seconds)
        if is_said:
            _tell_each(fast, each)
        both = list(each.values())
        found.append(Idle(sum(one.percent for one in both), sum(one.mib for one in both)))
    fast, slow = found
    what = "an idle `baton up`"
    return [
        Row(f"{what}, of a core", fast.percent, slow.percent, "%", "BATON_FAST=0", "≤ 2 %"),
        Row(f"{what}, memory", fast.mib, slow.mib, "MiB", "BATON_FAST=0", "≤ 500 MB"),
    ]


@contextmanager
def _settled(fast: str) -> Iterator[Standing]:
    """A `baton up` that has run a chain and does nothing any more."""
    with (
        tempfile.TemporaryDirectory(prefix="baton-") as folder,
        Standing(Path(folder), {"BATON_FAST": fast}, options=()) as standing,
    ):
        told(["iris"], standing.environment)
        time.sleep(_SETTLED_SECONDS)
        yield standing


def _measured(standing: Standing, seconds: float) -> dict[str, Idle]:
    """What each process costs, by its name."""
    living = standing.processes()
    before = {pid: _used(pid) for pid in living}
    time.sleep(seconds)
    found: dict[str, Idle] = {}
    for pid, command in living.items():
        percent = 100 * (_used(pid) - before[pid]) / seconds
        found[f"{pid} {command[-60:]}"] = Idle(percent, shared_kib(pid) / 1024)
    return found


def _used(pid: int) -> float:
    """Seconds of a core that a process has used, its ended children's included."""
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / _TICKS
    return 0.0


def _tell_each(fast: str, each: dict[str, Idle]) -> None:
    for name, one in each.items():
        print(f"BATON_FAST={fast} {one.percent:5.2f} % {one.mib:6.0f} MiB  {name}", file=sys.stderr)


if __name__ == "__main__":
    main()
