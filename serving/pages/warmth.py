"""What a page would have to wait for, imported while nobody waits.

A process that has just begun is small, and most of its pages need none of this.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from threading import Thread

from baton import problems

_FOR_TABLES = ("pandas", "pyarrow.parquet", "pyarrow.csv", "pyarrow.compute")
"""Libraries by which a table is looked at."""


def begin() -> None:
    """Have the problems imported, whose names stand on the first page."""
    Thread(target=problems.loaded, daemon=True, name="problems").start()


@cache
def for_tables() -> None:
    """Have ready what looks at a table: whoever sees the page before will give one."""
    for name in _FOR_TABLES:
        import_module(name)
