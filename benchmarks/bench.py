"""Everything that is measured side by side, as one table; `make bench` prints it.

Each row is measured in this run, ours and the ordinary way in turn. Programs that load a standing
Baton for longer have tables of their own: `trials.py`, `workers.py`, `serving.py`.

    .venv/bin/python benchmarks/bench.py
    .venv/bin/python benchmarks/bench.py --only explaining table_work
    .venv/bin/python benchmarks/bench.py --write docs/explanation/performance.md
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from importlib import import_module
from pathlib import Path

from measured import TERMINATED, end_in_order
from row import HEADINGS, Row

SUBJECTS = (
    "starting",
    "hops",
    "orchestrators",
    "idle",
    "chain",
    "evaluating",
    "burst",
    "painting",
    "explaining",
    "importance_of",
    "table_work",
    "streams",
    "relating",
    "studies",
    "registering",
)
_BEGIN, _END = "<!-- measured: begin -->", "<!-- measured: end -->"


def main() -> None:
    """Measure, print, and write where that is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=SUBJECTS, default=SUBJECTS)
    parser.add_argument("--write", type=Path, help="page whose table is to be this run's")
    options = parser.parse_args()
    if options.write and not _is_page(options.write):
        parser.error(f"{options.write} has no place for a table: {_BEGIN}")
    end_in_order()
    found = {subject: _rows_of(subject) for subject in options.only}
    table = _table([row for rows in found.values() for row in rows or ()])
    print(table)
    if options.write:
        _put(options.write, table)
    if missing := [subject for subject, rows in found.items() if rows is None]:
        raise SystemExit(f"not measured: {', '.join(missing)}")


def _rows_of(subject: str) -> list[Row] | None:
    """Rows of a subject; None where measuring broke off: the others are still worth having."""
    began = time.perf_counter()
    print(f"measuring {subject} …", file=sys.stderr, flush=True)
    try:
        return import_module(subject).rows()  # type: ignore[no-any-return]
    except (Exception, SystemExit) as error:
        if isinstance(error, SystemExit) and error.code == TERMINATED:
            raise
        print(f"  not measured: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        return None
    finally:
        print(f"  {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)


def _is_page(path: Path) -> bool:
    return path.is_file() and _BEGIN in path.read_text("utf-8")


def _table(found: list[Row]) -> str:
    lines = [HEADINGS, ("---",) * len(HEADINGS), *(row.cells() for row in found)]
    load = os.getloadavg()[2]
    where = f"{os.cpu_count()} cores, Python {sys.version.split()[0]}, load {load:.1f}."
    return "\n".join(["| " + " | ".join(line) + " |" for line in lines] + ["", where])


def _put(page: Path, table: str) -> None:
    before, _, rest = page.read_text("utf-8").partition(_BEGIN)
    after = rest.partition(_END)[2]
    page.write_text(f"{before}{_BEGIN}\n\n{table}\n\n{_END}{after}", "utf-8")


if __name__ == "__main__":
    main()
