"""Local files as a user names them, for processes with another working directory."""

from __future__ import annotations

from pathlib import Path


def absolute(path: Path | str) -> Path:
    """Absolute path, ``~`` being the user's home directory.

    Raises
    ------
    ValueError
        If there is no such home directory, or no file can have such a name.
    """
    if "\0" in str(path):
        raise ValueError("no file has such a name: give its path")
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError:
        raise ValueError("there is no such home directory: give the full path") from None
