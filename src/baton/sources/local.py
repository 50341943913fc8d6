"""Local files as a user names them, for processes with another working directory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

_folder: ContextVar[Path | None] = ContextVar("folder", default=None)


@contextmanager
def meant_from(folder: Path) -> Iterator[None]:
    """Have relative paths meant from this folder, in place of the working one, while it lasts."""
    before = _folder.set(folder)
    try:
        yield
    finally:
        _folder.reset(before)


def absolute(path: Path | str) -> Path:
    """Absolute path, ``~`` being the user's home directory.

    Examples
    --------
    >>> with meant_from(Path("/data")):
    ...     print(absolute("wine.csv"))
    /data/wine.csv

    Raises
    ------
    ValueError
        If there is no such home directory, or no file can have such a name.
    """
    if "\0" in str(path):
        raise ValueError("no file has such a name: give its path")
    try:
        return ((_folder.get() or Path.cwd()) / Path(path).expanduser()).absolute()
    except RuntimeError:
        raise ValueError("there is no such home directory: give the full path") from None
