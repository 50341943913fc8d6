"""What is sent to the command by a pipe, kept as a file that a stage's process can read."""

from __future__ import annotations

from pathlib import Path
from typing import IO

from baton.errors import InputError
from baton.sources.taken import taking

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
    with taking(home / "piped") as new:
        while chunk := stream.read(_CHUNK):
            new.write(chunk)
        if not new.size:
            raise InputError("the standard input is empty; send a table with a header and rows")
        return new.keep(NAME)
