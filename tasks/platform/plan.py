"""What every stage settles before it works: what is to be made, and where it will stand.

What one stage makes in particular belongs in its plan, in the module of its tasks.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from functools import cached_property

from baton.chain.events import TableRef
from baton.lineage import digest_of
from tasks.platform import results
from tasks.platform.stage import exclusive

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


class Plan(ABC):
    """What a stage is to make and where it will stand, decided by all that decides its content."""

    @property
    @abstractmethod
    def folder(self) -> str:
        """Folder of the results, ``<problem>/<16 hex digits>``."""

    @property
    @abstractmethod
    def is_done(self) -> bool:
        """Whether all of it stands there already, whole."""

    @property
    def lock(self) -> AbstractContextManager[None]:
        """Held by the one process that makes it; a killed holder's lock is free at once."""
        return exclusive(self.folder)

    def key(self, table: str) -> str:
        """Place of a table; a name that cannot be a file's becomes words and a digest."""
        if not _NAME.fullmatch(table):
            words = re.sub(r"[^a-z0-9]+", "_", table.lower()).strip("_")[:50]
            table = f"{words}_{digest_of(table)[:8]}"
        return f"{self.folder}/{table}.parquet"

    @cached_property
    def _found(self) -> dict[str, TableRef]:
        return {}

    def has(self, *tables: str) -> bool:
        """Tell whether these tables stand there, whole."""
        return all(self._look(table) for table in tables)

    def table(self, name: str) -> TableRef:
        """Reference to a table that was made; its file is read for that once.

        Raises
        ------
        RuntimeError
            If it is not there, or not whole.
        """
        return self._look(name) or results.require(self.key(name))

    def _look(self, table: str) -> TableRef | None:
        if table not in self._found and (reference := results.find(self.key(table))):
            self._found[table] = reference
        return self._found.get(table)
