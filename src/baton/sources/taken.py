"""Bytes that are taken in as they come, and kept as a file by the digest of their content."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from baton import disk

_DIGITS = 16


class Taken:
    """A file that is being written, hidden beside those that are kept.

    Parameters
    ----------
    folder : Path
        Of the files that are kept, in a home.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        number, name = tempfile.mkstemp(dir=folder, prefix=".new-")
        self.place = Path(name)
        self.size = 0
        """Bytes until now."""
        self._file = os.fdopen(number, "wb")
        self._digest = hashlib.sha256()

    def write(self, chunk: bytes) -> None:
        """Add some bytes.

        Raises
        ------
        StorageError
            If the disk has no room for them.
        """
        disk.require_room(self.place.parent, len(chunk))
        self._digest.update(chunk)
        self._file.write(chunk)
        self.size += len(chunk)

    def keep(self, name: str) -> Path:
        """Give it its place: the folder of its digest, under this name; the same is kept once."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        place = self.place.parent / self._digest.hexdigest()[:_DIGITS] / name
        place.parent.mkdir(exist_ok=True)
        self.place.replace(place)
        return place

    def close(self) -> None:
        """Forget what was not kept."""
        self._file.close()
        self.place.unlink(missing_ok=True)


@contextmanager
def taking(folder: Path) -> Iterator[Taken]:
    """Take bytes in; what is not kept in the end is gone.

    Raises
    ------
    StorageError
        If the disk does not take it.
    """
    with disk.told(folder):
        new = Taken(folder)
        try:
            yield new
        finally:
            new.close()
