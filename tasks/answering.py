"""Answering rows at once by the champion, for whoever serves it: loaded once, asked often.

Prediction of files by batches, with its results, belongs in ``tasks/prediction.py``, the HTTP
around this in ``serving/answers.py``.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from baton import models, problems
from baton.chain import records
from baton.chain.events import DatasetReady, ModelRef
from baton.chain.outcome import plain
from baton.errors import InputError, NoModelError
from baton.evaluation import shapley
from baton.models.doubts import Doubts
from baton.problems import Params, Problem
from baton.settings import settings
from baton.tables.reading import new_rows
from baton.tables.source import describe
from baton.terms import ROW
from tasks.platform.tracking import champion_of, facts_of_version, load_model
from tasks.prediction import answers_to, framed, params_of
from tasks.rows import background_of

SUFFIXES = {
    "application/json": ".jsonl",
    "application/x-ndjson": ".jsonl",
    "text/csv": ".csv",
    "application/vnd.apache.parquet": ".parquet",
    "application/octet-stream": ".parquet",
}
"""What a body is read as, by its content type."""

_HOLDERS = ("records", "dataframe_records", "instances")
"""Where an object holds its rows: ours, and the two of MLflow's scoring server."""


@dataclass(frozen=True)
class Champion:
    """A model that answers, with all that it takes; never changed, only replaced."""

    reference: ModelRef
    problem: Problem[Any]
    params: Params
    model: models.FittedModel

    @cached_property
    def columns(self) -> dict[str, str]:
        """Columns that the model learnt from, with what each is."""
        return {one.name: one.role.value for one in self.model.encoder.columns}

    @property
    def facts(self) -> dict[str, Any]:
        """What it says of itself, ready for JSON."""
        return {
            "name": self.reference.name,
            "version": self.reference.version,
            "digest": self.reference.digest,
            "problem": self.problem.name,
            "target": self.model.target,
            "kind": self.model.kind.value,
            "family": self.model.family,
            "classes": [plain(one) for one in self.model.classes or ()],
            "columns": self.columns,
        }

    def predict(self, raw: pa.Table) -> dict[str, Any]:
        """Answer rows as a file has them; what is doubtful cell by cell."""
        with _readable():
            answers, doubtful = answers_to(self, raw, 0, Doubts())
        return {"predictions": _lines(answers), "doubts": _lines(doubtful)}

    def explain(self, raw: pa.Table) -> dict[str, Any]:
        """Shapley values of rows: for each and each output, base value and value of each column.

        Raises
        ------
        InputError
            If the model has no exact method and its training rows are not here.
        """
        values, found = self.explained(raw)
        explanations = list(_explained(values, found[ROW].to_numpy()))
        return {"scale": values.scale.value, "explanations": explanations}

    def explained(self, raw: pa.Table) -> tuple[shapley.ShapValues, pd.DataFrame]:
        """Shapley values of rows, and the features that they are of, as `explain` has it."""
        is_exact = self.model.explain is models.Explain.TREE
        background = None if is_exact else self._background
        with _readable():
            schema = self.model.origin["schema"]
            found = self.problem.new_features(framed(raw), self.params, schema)
            features = found.drop(columns=ROW)
            values = shapley.shap_values(
                self.model, features, background=background, seed=self.seed
            )
        return values, found

    @cached_property
    def data(self) -> DatasetReady | None:
        """What it learnt from, where this home has the chain that made it."""
        found = records.of_model(settings(), self.problem.name, self.reference)
        return found.data if found else None

    @property
    def seed(self) -> int:
        """Of the rows that an explanation is drawn beside, as `baton explain` has it."""
        return self.data.seed if self.data else 0

    @cached_property
    def _background(self) -> Any:
        """Training rows."""
        if self.data is not None:
            return background_of(self.data)
        raise InputError(
            f"{self.model.family} is explained beside rows that it learnt from, and they are not"
            " in this home; a family of trees needs none"
        )


@contextmanager
def _readable() -> Iterator[None]:
    """Say in one line what a problem cannot make features of."""
    try:
        yield
    except InputError:
        raise
    except (KeyError, ValueError, TypeError) as error:
        said = " ".join(str(error.args[0] if error.args else error).split())
        raise InputError(f"the rows are not as the problem's: {said}; see /model") from None


def _explained(values: shapley.ShapValues, rows: Any) -> Iterator[dict[str, Any]]:
    """One line for each row and output."""
    names, outputs = list(values.features), [str(one) for one in values.classes] or [""]
    for place, row in enumerate(rows.tolist()):
        for number, output in enumerate(outputs):
            pushes = values.values[place, :, number].tolist()
            yield {
                "row": row,
                "output": output,
                "base": float(values.base_values[number]),
                "values": dict(zip(names, pushes, strict=True)),
            }


def _lines(table: pa.Table) -> list[dict[str, Any]]:
    return [{_name(k): plain(v) for k, v in line.items()} for line in table.to_pylist()]


def _name(column: str) -> str:
    return "row" if column == ROW else column


def champion(name: str) -> Champion:
    """Load the champion of a registered model.

    Raises
    ------
    NoModelError
        If it has none.
    InputError
        If its files are gone or altered.
    """
    reference = champion_of(name)
    if reference is None:
        raise NoModelError(f"{name} has no champion; `baton promote` with --version names one")
    return loaded(reference)


def loaded(reference: ModelRef) -> Champion:
    """Load a version."""
    model = load_model.fn(reference)
    problem = problems.get(facts_of_version(reference)["problem"])
    return Champion(reference, problem, params_of(problem, reference, model, {}), model)


class TooManyRowsError(InputError):
    """A request of more rows than one may hold."""


def read_body(content: bytes, kind: str, most: int) -> pa.Table:
    """Rows of a request.

    Parameters
    ----------
    content : bytes
    kind : str
        Content type, of `SUFFIXES`.
    most : int
        Rows that it may hold; it is read no further.

    Raises
    ------
    TooManyRowsError
        If it has more.
    InputError
        If it is not what it says, or holds no row.
    """
    kind = kind.partition(";")[0].strip().lower()
    suffix = SUFFIXES.get(kind)
    if suffix is None:
        raise InputError(f"content type {kind!r} is not read; send one of: {', '.join(SUFFIXES)}")
    if kind == "application/json":
        found = _records(content)
        _require_few(len(found), most)
        if (typed := _typed(found)) is not None:
            return typed
        content = "\n".join(map(json.dumps, found)).encode()
    with tempfile.TemporaryDirectory(prefix="baton-rows-") as folder:
        path = Path(folder) / f"rows{suffix}"
        path.write_bytes(content)
        try:
            tables, n_rows = [], 0
            for table in new_rows([describe(path)]):
                _require_few(n_rows := n_rows + len(table), most)
                tables.append(table)
        except TooManyRowsError:
            raise
        except InputError as error:
            raise InputError(str(error).replace(str(path), "the body")) from None
    return pa.concat_tables(tables)


def _require_few(n_rows: int, most: int) -> None:
    if n_rows > most:
        raise TooManyRowsError(f"{n_rows} rows or more; at most {most} at once")


def _typed(found: list[dict[str, Any]]) -> pa.Table | None:
    """Rows as a table, by the types that JSON has; None where a column has several.

    Those are read as a file's are, cell by cell, which takes ten times as long.
    """
    names = dict.fromkeys(name for one in found for name in one)
    try:
        table = pa.table({name: pa.array([one.get(name) for one in found]) for name in names})
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        return None
    return table if all(map(_is_plain, table.columns)) else None


def _is_plain(column: pa.ChunkedArray[Any]) -> bool:
    """Tell whether a column's values mean the same as a file's would.

    Text may say that nothing is there, and whole numbers beside nothing become floats.
    """
    if pa.types.is_integer(column.type):
        return column.null_count == 0
    return pa.types.is_floating(column.type) or pa.types.is_boolean(column.type)


def _records(content: bytes) -> list[dict[str, Any]]:
    """Rows in a body of JSON."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputError(f"the body is not JSON: {error}") from None
    if isinstance(found, dict):
        found = next((found[name] for name in _HOLDERS if name in found), [found])
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found) or not found:
        raise InputError('the body is no list of records; send [{"column": value, …}, …]')
    return found
