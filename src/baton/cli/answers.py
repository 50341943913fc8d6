"""The file of answers that ``predict --out`` writes: which columns, and row by row in their order.

What is asked is checked before a chain begins; the file is written from its result, by batches.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from enum import StrEnum
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from baton import disk
from baton.errors import InputError
from baton.models.answers import HIGH, LOW, PREDICTED
from baton.sources.local import absolute
from baton.tables.refusals import unknown_column
from baton.terms import ROW
from baton.words.text import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

_SEPARATORS = {".csv": ",", ".tsv": "\t"}
_PARQUET = ".parquet"
_ROWS = 1 << 16


class Answers(StrEnum):
    """What of an answer is written; a model may give more than one kind."""

    LABELS = "labels"
    """The class, or the number."""
    PROBABILITIES = "probabilities"
    """The probability of every class; of two, that of the second where there is one column."""
    INTERVALS = "intervals"
    """The number, and the ends of its interval."""


@dataclass(frozen=True)
class Wish:
    """The file that is wanted."""

    out: Path
    id: str = ""
    """Column of the new rows that is carried."""
    like: tuple[str, ...] = ()
    """Header of a sample, whose columns and their order are taken."""
    answers: Answers = Answers.LABELS

    flags: ClassVar[str] = "--id, --like and --answers"

    @classmethod
    def of(cls, out: str, id: str, like: str, answers: Answers | None) -> Wish | None:
        """Wish by what the command was given; None where no file is wanted.

        Raises
        ------
        InputError
            If the file cannot be written there, or the sample cannot be read.
        """
        if not out:
            if id or like or answers:
                raise InputError(f"{cls.flags} say what is written to --out; give it too")
            return None
        place = _place(out)
        return cls(place, id, _header(like) if like else (), answers or Answers.LABELS)

    def require_id(self, known: Sequence[str], where: str) -> None:
        """See that the new rows have the column that is to be carried, where that is known.

        Raises
        ------
        InputError
            If they have not.
        """
        if self.id and known and self.id not in known:
            raise unknown_column("--id", self.id, known, where)

    def columns(self, names: Sequence[str], target: str) -> dict[str, str]:
        """Columns of the file, and the columns of the predictions that they are.

        Parameters
        ----------
        names : sequence of str
            Columns of the predictions.
        target : str
            What is predicted.

        Raises
        ------
        InputError
            If there is no such column, or a column of the sample is nothing that is known.
        """
        after = list(names)[list(names).index(PREDICTED) + 1 :]
        classes = {name[2:-1]: name for name in takewhile(_is_probability, after)}
        ends = (LOW, HIGH) if after[:2] == [LOW, HIGH] else ()
        carried = after[len(classes) + len(ends) :]
        if self.id and self.id not in carried:
            raise unknown_column("--id", self.id, carried, "the new rows")
        if self.like:
            return self._as_sample(classes, [*ends, *carried], target)
        first = {self.id: self.id} if self.id else {ROW: ROW}
        if self.answers is Answers.LABELS:
            return first | {target: PREDICTED}
        if self.answers is Answers.INTERVALS:
            return first | {target: PREDICTED} | _required_ends(ends, target)
        return first | {column: column for column in self._required(classes, target).values()}

    def _as_sample(
        self, classes: dict[str, str], carried: list[str], target: str
    ) -> dict[str, str]:
        known = {name: name for name in carried} | classes
        known |= {column: column for column in classes.values()}
        answer = self._one(classes, target)
        known |= {target: answer, PREDICTED: answer}
        found = {name: known[name] for name in self.like if name in known}
        left = [name for name in self.like if name not in known]
        if left and self.id and self.id not in self.like:
            found[left.pop(0)] = self.id
        answered = {answer, *classes.values()} & set(found.values())
        if len(left) == 1 and not answered:
            found[left.pop()] = answer
        if left:
            raise InputError(
                f"--like has {quoted(left)}, which is neither a column of the new rows, nor the"
                f" target {target!r}, nor one of its classes; --id says which column is its id"
            )
        if not answered and answer not in found.values():
            raise InputError(f"--like has no column for the answer, such as {target!r}; add it")
        return {name: found[name] for name in self.like}

    def _one(self, classes: dict[str, str], target: str) -> str:
        """Column of the answer where there is one for it."""
        if self.answers is not Answers.PROBABILITIES:
            return PREDICTED
        required = self._required(classes, target)
        return list(required.values())[1] if len(required) == 2 else ""

    def _required(self, classes: dict[str, str], target: str) -> dict[str, str]:
        if not classes:
            raise InputError(
                f"{target!r} is a number, which has no probabilities; leave --answers out"
            )
        return classes

    def write(self, predictions: Path, target: str) -> int:
        """Write the file, in one step.

        Parameters
        ----------
        predictions : Path
            Parquet file of all answers.
        target : str
            What is predicted.

        Returns
        -------
        int
            Number of rows.
        """
        import pyarrow.parquet as pq

        new = self.out.with_name(f".{self.out.name}.new")
        with disk.told(self.out.parent), pq.ParquetFile(predictions) as file:
            columns = self.columns(file.schema_arrow.names, target)
            wanted = list(dict.fromkeys(columns.values()))
            tables = _tables(file.iter_batches(_ROWS, columns=wanted), columns)
            try:
                self._write(new, tables)
                new.replace(self.out)
            finally:
                new.unlink(missing_ok=True)
            return int(file.metadata.num_rows)

    def _write(self, place: Path, tables: Iterator[pa.Table]) -> None:
        if self.out.suffix.lower() == _PARQUET:
            _write_parquet(place, tables)
        else:
            _write_text(place, tables, _SEPARATORS[self.out.suffix.lower()])


def _required_ends(ends: Sequence[str], target: str) -> dict[str, str]:
    if not ends:
        raise InputError(
            f"the answers for {target!r} have no intervals: they are of numbers, where the model"
            " learnt from rows enough; leave --answers out"
        )
    return {name: name for name in ends}


def _is_probability(name: str) -> bool:
    return name.startswith("p(") and name.endswith(")")


def _place(out: str) -> Path:
    try:
        place = absolute(out)
    except ValueError as error:
        raise InputError(f"--out {out}: {error}") from None
    if place.suffix.lower() not in {*_SEPARATORS, _PARQUET}:
        raise InputError(f"--out {out} is no .csv, .tsv or .parquet; give it one of these names")
    if not place.parent.is_dir():
        raise InputError(f"--out {out}: there is no folder {place.parent}; make it first")
    if place.is_dir():
        raise InputError(f"--out {out} is a folder; give the name of a file")
    return place


def _header(like: str) -> tuple[str, ...]:
    """First line of a sample.

    Raises
    ------
    InputError
        If it cannot be read, or a name is there twice.
    """
    from baton.tables.source import describe

    place = absolute(like)
    try:
        return describe(place).columns
    except InputError as error:
        if "no rows" not in str(error):
            raise InputError(f"--like: {error}") from None
    with place.open(encoding="utf-8-sig", newline="") as file:  # a header alone will do
        separator = _SEPARATORS.get(place.suffix.lower(), ",")
        return tuple(name.strip() for name in next(csv.reader(file, delimiter=separator)))


def _tables(batches: Iterator[pa.RecordBatch], columns: dict[str, str]) -> Iterator[pa.Table]:
    import pyarrow as pa

    for batch in batches:
        found = [_as_written(batch[column]) for column in columns.values()]
        yield pa.Table.from_arrays(found, names=list(columns))


def _as_written(values: Any) -> Any:
    """Booleans as pandas and most samples write them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.if_else(values, "True", "False") if pa.types.is_boolean(values.type) else values


def _write_parquet(place: Path, tables: Iterator[pa.Table]) -> None:
    import pyarrow.parquet as pq

    first = next(tables)
    with pq.ParquetWriter(place, first.schema) as writer:
        writer.write_table(first)
        for table in tables:
            writer.write_table(table)


def _write_text(place: Path, tables: Iterator[pa.Table], separator: str) -> None:
    import polars as pl

    with place.open("wb") as file:
        for number, table in enumerate(tables):
            frame = pl.from_arrow(table)
            assert isinstance(frame, pl.DataFrame)
            frame.write_csv(file, separator=separator, include_header=number == 0)
