"""Whether a file that somebody else writes is whole: read to its end, without its rows.

Reading tables belongs in ``baton.tables``; who watches is ``serving/arriving.py``.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

QUIET_SECONDS = 1.0
"""How long a file must not have changed, before it may be whole."""

PATIENCE_SECONDS = 15.0
"""After these a file without an end to be seen is taken as it is: its writer is not coming back."""

_PARTIAL = (".part", ".partial", ".tmp", ".crdownload", ".filepart", ".download")
_LINES = {".csv", ".tsv", ".txt", ".jsonl", ".ndjson"}
_ENDS = {
    ".parquet": (b"PAR1",),
    ".pq": (b"PAR1",),
    ".arrow": (b"ARROW1",),
    ".feather": (b"ARROW1", b"FEA1"),  # its second version, and its first
}
_LONGEST_END = 6
_OPENED: Mapping[str, Callable[..., Any]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
}
_BLOCK = 1 << 20

Stamp = tuple[int, int]
"""Size in bytes, and nanoseconds at which a file was changed."""


def is_data(path: PurePath) -> bool:
    """Tell whether a name is that of a file of data, not of one that is being written.

    Examples
    --------
    >>> [is_data(Path(name)) for name in ("a.csv", ".a.csv", "_SUCCESS", "a.csv.part")]
    [True, False, False, False]
    """
    return not path.name.startswith((".", "_")) and path.suffix.lower() not in _PARTIAL


def has_end(path: Path) -> bool:
    """Tell whether a file ends as its kind does; of a kind that shows none it is taken for whole.

    A Parquet or Arrow file has its last bytes, a packed one can be unpacked, the last line of a
    text is complete.
    """
    suffix = path.suffix.lower()
    try:
        if suffix in _OPENED:
            return _is_unpacked(_OPENED[suffix], path)
        if suffix in {".zip", ".xlsx"}:
            return zipfile.is_zipfile(path)
        if suffix in _LINES:
            return _last_bytes(path, 1) in {b"\n", b"\r"}
        return suffix not in _ENDS or _last_bytes(path, _LONGEST_END).endswith(_ENDS[suffix])
    except OSError:
        return False


def _is_unpacked(opened: Callable[..., Any], path: Path) -> bool:
    try:
        with opened(path, "rb") as file:
            while file.read(_BLOCK):
                pass
    except (EOFError, lzma.LZMAError, zlib.error):
        return False
    return True


def _last_bytes(path: Path, n: int) -> bytes:
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(-min(n, file.tell()), os.SEEK_END)
        return file.read()


@dataclass
class Waiting:
    """Files that are there and were not whole yet, with what they were when they changed last.

    Examples
    --------
    >>> waiting, at = Waiting(lambda path: True), Path("a.csv")
    >>> [waiting.whole({at: (7, 0)}, now) for now in (0.0, 0.9, 1.0)]
    [[], [], [PosixPath('a.csv')]]
    """

    has_end: Callable[[Path], bool] = has_end
    _since: dict[Path, tuple[Stamp, float]] = field(default_factory=dict)
    _torn: dict[Path, Stamp] = field(default_factory=dict)
    """Files that have no end as they are."""

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._since)

    def whole(self, there: Mapping[Path, Stamp], now: float) -> list[Path]:
        """Those files that are whole now, in the order of their last changes.

        Parameters
        ----------
        there : mapping of Path to Stamp
            Files that are not taken yet, as they are now.
        now : float
            Seconds of a clock that never goes back.
        """
        before = self._since
        self._since = {
            path: before[path] if path in before and before[path][0] == stamp else (stamp, now)
            for path, stamp in there.items()
        }
        self._torn = {path: stamp for path, stamp in self._torn.items() if path in there}
        found = [path for path in there if self._is_whole(path, now)]
        for path in found:
            del self._since[path]
        return sorted(found, key=lambda path: (there[path][1], path.name))

    def _is_whole(self, path: Path, now: float) -> bool:
        stamp, since = self._since[path]
        if now - since < QUIET_SECONDS:
            return False
        if now - since >= PATIENCE_SECONDS:
            return True
        if self._torn.get(path) == stamp:
            return False
        if self.has_end(path):
            return True
        self._torn[path] = stamp
        return False
