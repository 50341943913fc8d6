"""Whether MLflow's database in the home has its tables; they are copied where they can be.

Without MLflow, which takes longer to import than to say so. Making them otherwise belongs in
``tasks/platform/tracking.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from filelock import FileLock

from baton.settings import settings
from tasks.platform import moulds


def database() -> Path:
    """File of the database in the home."""
    return settings().mlflow / "mlflow.db"


def is_made() -> bool:
    """Tell whether the database in the home has its tables."""
    return _marker().exists() and database().exists()


def prepare() -> bool:
    """Give a home that has no database one from a mould; tell whether nothing is left to do."""
    if settings().mlflow_tracking_uri:
        return False
    if not is_made():
        with making():
            pass
    return is_made()


@contextmanager
def making() -> Iterator[bool]:
    """Be the one who makes the tables; yields whether they are still to be made."""
    settings().mlflow.mkdir(parents=True, exist_ok=True)
    with FileLock(settings().mlflow / "schema.lock"):
        mould = None if is_made() else moulds.mlflow()
        if mould and mould.fill(database()):
            _marker().touch()
        yield not is_made()


def made(*, is_new: bool) -> None:
    """Note that the tables are made, within :func:`making`.

    Parameters
    ----------
    is_new : bool
        Whether there was no database before: then it serves as a mould.
    """
    mould = moulds.mlflow() if is_new else None
    if mould:
        mould.keep(database())
    _marker().touch()


def _marker() -> Path:
    return settings().mlflow / f"schema-{version('mlflow')}"
