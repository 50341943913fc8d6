"""A folder of CSV and Parquet files, each of which is a table: read as a database is.

How one file is read belongs in ``baton.tables``; which keys there are in ``guessing``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from baton.errors import InputError
from baton.lineage import digest_of, digest_of_file
from baton.relational.reflection import KEY_COLUMNS
from baton.tables.columns import role_of
from baton.tables.features import converted
from baton.tables.reading import read
from baton.tables.roles import Role
from baton.tables.source import describe
from baton.words.text import listed

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".csv", ".tsv", ".parquet")
"""Of the files that are tables; a CSV file may be packed."""

_PACKED = (".gz", ".bz2", ".xz", ".zip")


@dataclass(frozen=True)
class Folder:
    """A folder whose files are tables, by their names without the suffix."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    @property
    def is_quiet(self) -> bool:
        """Whether a digest tells if its tables changed."""
        return True

    @property
    def stamp(self) -> str:
        """What changes when a file does: its name, size and time."""
        stats = {name: path.stat() for name, path in self._files().items()}
        return digest_of({name: [one.st_size, one.st_mtime_ns] for name, one in stats.items()})

    def fingerprint(self) -> str:
        """SHA-256 of the files' content."""
        return digest_of({name: digest_of_file(path) for name, path in self._files().items()})

    def keys(self) -> pd.DataFrame:
        """Columns of every table; files declare no keys. See `Database.keys`."""
        import pandas as pd

        rows = [
            (name, column, False, -1, None, None)
            for name, path in self._files().items()
            for column in describe(path).columns
        ]
        return pd.DataFrame(rows, columns=list(KEY_COLUMNS))

    def read(self, table: str) -> pd.DataFrame:
        """All rows of a table; text that is dates throughout as dates.

        Raises
        ------
        InputError
            If there is no such table, or its file cannot be read.
        """
        files = self._files()
        if table not in files:
            raise InputError(f"{self} has no table {table!r}; it has: {listed(files, 20)}")
        return read([describe(files[table])]).apply(_dated)

    def column(self, table: str, name: str) -> pd.Series:
        """Values of one column."""
        found: pd.Series = self.read(table)[name]
        return found

    def _files(self) -> dict[str, Path]:
        """Table files by name."""
        if not self.path.is_dir():
            raise InputError(f"there is no folder {self.path}; check the path")
        found: dict[str, Path] = {}
        for path in sorted(_tables_in(self.path)):
            name = path.name.split(".")[0]
            if name in found:
                raise InputError(
                    f"{found[name].name} and {path.name} in {self.path} are both the table"
                    f" {name!r}; rename one of them"
                )
            found[name] = path
        if not found:
            raise InputError(f"{self.path} holds no table: CSV or Parquet files are wanted in it")
        return found


def _tables_in(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        kinds = [suffix.lower() for suffix in path.suffixes]
        kinds = kinds[:-1] if kinds and kinds[-1] in _PACKED else kinds
        if kinds and kinds[-1] in SUFFIXES and path.is_file() and not path.name.startswith("."):
            yield path


def _dated(values: pd.Series) -> pd.Series:
    """Column as dates, if that is what its text says."""
    import pandas as pd

    if values.dtype.kind in "biufmM":
        return values
    column = role_of(str(values.name), values, keep=True)
    if column.role is not Role.DATETIME:
        return values
    return pd.Series(converted(values, column), values.index, name=values.name)
