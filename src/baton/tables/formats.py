"""The words for a table file: its format, its columns, and how it is written.

They are found out in ``source``, by the module of each format.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class Format(StrEnum):
    """How a file holds a table."""

    CSV = "CSV"
    JSON_LINES = "JSON lines"
    EXCEL = "Excel"
    PARQUET = "Parquet"
    ARROW = "Arrow"

    @property
    def is_text(self) -> bool:
        """Whether it is read as text, and its columns are typed from all of their values."""
        return self not in {Format.PARQUET, Format.ARROW}


@dataclass(frozen=True)
class Source:
    """A table file and what its head says."""

    path: Path
    format: Format
    columns: tuple[str, ...]
    """Names of all columns that can be read, in order."""
    unusable: tuple[tuple[str, str], ...] = ()
    """Columns that no model takes (lists, structs, bytes): name and type."""
    delimiter: str = ","
    decimal: str = "."
    encoding: str = "utf-8"
    skipped: int = 0
    """Lines above the header."""
    sheet: str = ""
    """Sheet of a workbook."""
    types: tuple[str, ...] = ()
    """Types of the columns, where the file says them."""
