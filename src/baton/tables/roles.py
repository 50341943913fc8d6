"""The words of a decision on a table: what each column is for, and how its text is read.

How a decision is come to stands in ``inference``, what is done by it in ``features``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from baton.terms import Kind


class Role(StrEnum):
    """What a column is for a model."""

    NUMBER = "number"
    BOOLEAN = "boolean"
    CATEGORY = "category"
    DATETIME = "datetime"
    DURATION = "duration"
    TEXT = "text"
    DROPPED = "dropped"


@dataclass(frozen=True)
class Column:
    """A column's role."""

    name: str
    role: Role
    style: str = ""
    """How its text is read: decimal ``point`` or ``comma``, ``time``, or a date format."""
    note: str = ""
    """Why it is dropped, or what was done to its values."""


@dataclass(frozen=True)
class Schema:
    """What a raw table's columns are for: all that `build` needs to know."""

    columns: tuple[Column, ...]
    target: Column | None = None
    kind: Kind | None = None
    notes: tuple[str, ...] = ()
