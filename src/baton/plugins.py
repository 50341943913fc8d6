"""What other packages bring: objects by the names of their entry points.

Names and packages are known from what is installed, without importing any of it. What the objects
are, problems or families of models, is said where they are asked for.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from baton.errors import InputError, import_fault
from baton.words.text import did_you_mean

NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")
"""What may stand as a name in events, folders and on a command line."""

_OWN = "baton."
"""What the modules of Baton's own entry points begin with."""


@dataclass(frozen=True)
class PlugIns:
    """Objects of one kind: Baton's own and those that other packages bring.

    A name that Baton has is nobody else's; one that two packages bring is neither's.
    """

    group: str
    """Group of their entry points."""
    what: str
    """What one of them is called."""
    own: frozenset[str] = frozenset()
    """Names that Baton has without an entry point."""
    reserved: frozenset[str] = frozenset()
    """Names that mean something else."""

    @property
    def names(self) -> list[str]:
        """Names that an object is brought under, sorted."""
        return sorted(_sorted_out(self)[0])

    @property
    def refused(self) -> list[str]:
        """What is to be said of entry points that cannot be taken."""
        return [said for said in _sorted_out(self)[1].values() if said]

    def is_taken(self, name: str) -> bool:
        """Whether nobody else can bring an object of that name."""
        brought, refused = _sorted_out(self)
        return name in {*brought, *refused, *self.own, *self.reserved}

    def load(self, name: str, kind: type) -> Any:
        """Return the object of that name; now its package is imported.

        Parameters
        ----------
        name : str
        kind : type
            What the object has to be.

        Raises
        ------
        InputError
            If there is none, its package cannot be imported, or it is something else.
        """
        brought, refused = _sorted_out(self)
        if name not in brought:
            raise InputError(refused.get(name) or self._unknown(name))
        point = brought[name]
        try:
            found = point.load()
        except (Exception, SystemExit) as error:
            raise InputError(
                f"{self._called(point)} cannot be imported: {import_fault(error)}"
            ) from error
        if isinstance(found, kind):
            return found
        said = f"{self._called(point)} is no {kind.__name__}: {point.value} is {_told(found, kind)}"
        raise InputError(said)

    def module(self, name: str) -> str | None:
        """Full name of the module that brings an object, without importing it; None if none."""
        point = _sorted_out(self)[0].get(name)
        return point.module if point else None

    def package(self, name: str) -> tuple[str, str] | None:
        """Name and version of the package that brings an object; None if none does."""
        point = _sorted_out(self)[0].get(name)
        return (point.dist.name, point.dist.version) if point and point.dist else None

    def _unknown(self, name: str) -> str:
        known = sorted({*self.names, *self.own})
        hint = did_you_mean(name, known)
        return f"unknown {self.what} {name!r}; {hint}there are: {', '.join(known)}"

    def _called(self, point: EntryPoint) -> str:
        package = f" of package {point.dist.name}" if point.dist else ""
        return f"{self.what} {point.name!r}{package}"


@cache
def _sorted_out(of: PlugIns) -> tuple[dict[str, EntryPoint], dict[str, str]]:
    """Entry points by name, and what is said of those that cannot be taken."""
    own: dict[str, EntryPoint] = {}
    others = defaultdict[str, list[EntryPoint]](list)
    for point in _installed().select(group=of.group):
        if point.module.startswith(_OWN):
            own[point.name] = point
        else:
            others[point.name].append(point)
    taken = {*of.own, *of.reserved, *own}
    refused = {name: _against(of, name, points, taken) for name, points in others.items()}
    brought = {name: points[0] for name, points in others.items() if not refused[name]}
    return own | brought, refused


@cache
def _installed() -> Any:
    """Entry points of all that is installed; what is installed later is a later process's."""
    return entry_points()  # of every group: packages are looked through once


def _against(of: PlugIns, name: str, points: list[EntryPoint], taken: set[str]) -> str:
    """What is against what other packages bring under one name; empty if nothing is."""
    packages = " and ".join(sorted({one.dist.name for one in points if one.dist}))
    brought = f"{of.what} {name!r}" + (f" of package {packages}" if packages else "")
    if name in taken:
        return f"{brought}: that name is Baton's own; theirs has to be called otherwise"
    if not NAME.fullmatch(name):
        return f"{brought}: a name is small letters, digits, _ and -, a letter first"
    if len(points) > 1:
        return f"{brought}: more than one brings it; uninstall all but one"
    return ""


def _told(found: object, kind: type) -> str:
    if isinstance(found, type) and issubclass(found, kind):
        return f"its class; name an object of it, such as {found.__name__.lower()}"
    return f"of the type {type(found).__name__}"


def clear() -> None:
    """Forget what is installed, so that it is looked at again."""
    _installed.cache_clear()
    _sorted_out.cache_clear()
