"""What is sent to the command by a pipe, kept as a file that a stage's process can read."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import IO

from baton import disk
from baton.errors import InputError

NAME = "stdin"
"""Name of the file, and so of a model that learns from it."""

_CHUNK = 1 << 20


def keep(stream: IO[bytes], home: Path) -> Path:
    """Keep a stream under the home by the digest of its content: the same is kept once.

    Raises
    ------
    InputError
        If it is a terminal, or empty.
    StorageError
        If the disk does not take it.
    """
    if stream.isatty():
        raise InputError("nothing is sent: path=- reads a pipe, such as `cat wine.csv | baton …`")
    folder = home / "piped"
    with disk.told(home):
        folder.mkdir(parents=True, exist_ok=True)
        number, name = tempfile.mkstemp(dir=folder, prefix=".new-")
        new, digest = Path(name), hashlib.sha256()
        try:
            with os.fdopen(number, "wb") as file:
                while chunk := stream.read(_CHUNK):
                    disk.require_room(home, len(chunk))
                    digest.update(chunk)
                    file.write(chunk)
            if not new.stat().st_size:
                raise InputError("the standard input is empty; send a table with a header and rows")
            place = folder / digest.hexdigest()[:16] / NAME
            place.parent.mkdir(exist_ok=True)
            new.replace(place)
        finally:
            new.unlink(missing_ok=True)
    return place
