"""Many chains begun at once: how many are lost, doubled or stuck, and how long they take.

Starts a `baton up` in a temporary home, asks for all chains before the first has ended, waits for
every one, and prints what became of them. The exit code is 1 if one did not complete, or did so
twice.

    .venv/bin/python benchmarks/burst.py --chains 200
    .venv/bin/python benchmarks/burst.py --chains 200 --database postgresql
"""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from measured import Waited, parser_of, standing_in
from row import Row
from standing import Standing, doubled

_ASKING = 8


def main() -> None:
    """Begin all, wait, print."""
    options = _parsed()
    with standing_in(options, "--no-mlflow") as (standing, watch, databases):
        ended, minutes = _burst(standing, options)
        ended.doubled = doubled(standing.home, databases["mlflow"])
    ended.tell(standing, watch, minutes)
    raise SystemExit(not ended.is_whole)


def rows(chains: int = 24) -> list[Row]:
    """Rows of the table of `make bench`: fewer chains than the program's own."""
    rates = [_per_minute(fast, chains) for fast in "10"]
    what = f"{chains} chains begun at once beside `baton up`, chains a minute"
    return [Row(what, *rates, "", "BATON_FAST=0", "≥ 30", is_rate=True)]


def _per_minute(fast: str, chains: int) -> float:
    options = _parser().parse_args(["--chains", str(chains)])
    with standing_in(options, "--no-mlflow", BATON_FAST=fast) as (standing, _, databases):
        ended, minutes = _burst(standing, options)
        ended.doubled = doubled(standing.home, databases["mlflow"])
    if not ended.is_whole:
        completed = f"of {chains} chains {ended.count('completed')} completed"
        raise RuntimeError(f"{completed}, {ended.doubled} twice")
    return chains / minutes


def _parsed() -> argparse.Namespace:
    parser = _parser()
    options = parser.parse_args()
    if options.chains < 1:
        parser.error("--chains: at least 1")
    return options


def _parser() -> argparse.ArgumentParser:
    parser = parser_of(__doc__ or "")
    parser.add_argument("--chains", type=int, default=200, help="(default %(default)s)")
    parser.add_argument(
        "--patience",
        type=float,
        default=300.0,
        help="seconds without the end of any chain after which those that are left are stuck"
        " (default %(default)s)",
    )
    return parser


def _burst(standing: Standing, options: argparse.Namespace) -> tuple[Waited, float]:
    """What became of the chains, and the minutes that all of them took."""

    def begin(number: int) -> str:
        table = {"rows": options.rows, "seed": 1000 * options.seed + number}
        return standing.begin(table, f"burst {number}")

    ended = Waited()
    began = time.monotonic()
    with ThreadPoolExecutor(_ASKING) as pool:
        begun = list(pool.map(begin, range(options.chains)))
    print(f"{len(begun)} chains asked for in {time.monotonic() - began:.1f} s", file=sys.stderr)
    ended.wait(standing, begun, options.patience)
    return ended, (time.monotonic() - began) / 60


if __name__ == "__main__":
    main()
