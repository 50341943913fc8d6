"""Whether anything in folders has changed since one last asked, as Linux tells without a look.

What counts as a change, such as another time of a source file, is decided by who asks.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

_CHANGES = 0x2 | 0x4 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x800
"""Written, touched, moved from or to, made, gone; or the folder itself is gone or moved."""
_MOST_BYTES = 65536


class Changes:
    """Folders that the system watches: no thread is needed, and asking costs no look at files.

    Parameters
    ----------
    folders : callable
        Returns the folders as they are now. What changes in one of them counts; what changes in a
        folder below it does not.

    Raises
    ------
    OSError
        If the system does not watch, or not so many.
    """

    def __init__(self, folders: Callable[[], Iterable[Path]]) -> None:
        if sys.platform != "linux":
            raise OSError(f"nothing is watched on {sys.platform}")
        self._folders = folders
        self._library = ctypes.CDLL(None, use_errno=True)
        self._place = self._done(self._library.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK))
        self._watch()

    def came(self) -> bool:
        """Tell whether something has changed since this was asked last.

        Raises
        ------
        OSError
            If a folder can be watched no more.
        """
        has_come = False
        with suppress(BlockingIOError):
            while os.read(self._place, _MOST_BYTES):
                has_come = True
        if has_come:
            self._watch()  # what is new as well
        return has_come

    def _watch(self) -> None:
        for folder in self._folders():
            self._done(self._library.inotify_add_watch(self._place, bytes(folder), _CHANGES))

    @staticmethod
    def _done(answer: int) -> int:
        if answer < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return answer
