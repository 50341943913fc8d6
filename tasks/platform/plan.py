"""What every stage settles before it works: what is to be made, and where it will stand.

What one stage makes in particular belongs in its plan, in the module of its tasks.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from functools import cached_property
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from baton.chain.events import TableRef
from baton.errors import InputError
from tasks.platform import results
from tasks.platform.stage import exclusive

P = TypeVar("P", bound=BaseModel)


def settled(kind: type[P], given: dict[str, Any], name: str) -> P:
    """Parameter of a deployment that is an object, with its types.

    Parameters
    ----------
    kind : type
    given : dict
    name : str
        Of the parameter, for people.

    Raises
    ------
    InputError
        If it is not understood; with the key.
    """
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise InputError(f"{name}: {where}: {first['msg']}") from None


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
        """Place of a table."""
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
