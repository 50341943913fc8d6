"""Files that are there whole or not at all, whoever is killed while they are written."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file in one step: a reader sees what was there before, or all that is new.

    Parameters
    ----------
    path : Path
        In a folder that exists. A file that is there is replaced.
    content : bytes

    Raises
    ------
    OSError
        If it cannot be written; then nothing has changed.

    Notes
    -----
    The content goes to a hidden file beside it, is on the disk before that file gets its name,
    and several may write at the same time: the last one's content stays.

    Examples
    --------
    >>> place = Path(getfixture("tmp_path")) / "answer.txt"
    >>> write_bytes(place, b"42")
    >>> place.read_bytes()
    b'42'
    """
    partial = path.with_name(f".{uuid4().hex}.partial")
    try:
        with partial.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
