"""Asking a version about one row that a person makes up: its form, the answer, what drove it.

Answering rows that are sent belongs in ``tasks/answering.py``, the form's looks in
``serving/pages``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from typing import Any

import pandas as pd
import pyarrow as pa

from baton.chain import records
from baton.chain.events import DatasetReady, ModelEvaluated, ModelRef
from baton.chain.outcome import plain
from baton.errors import InputError
from baton.evaluation import shapley
from baton.models.answers import HIGH, LOW, PREDICTED
from baton.problems import Problem
from baton.settings import settings
from baton.showing.asked import CellsError, fields_of, row_of, shown_first
from baton.showing.waterfall import waterfall
from baton.terms import ROW, SPLIT, Kind, Split
from tasks.answering import Champion, loaded
from tasks.platform import results
from tasks.platform.tracking import profile_of_version, version_of
from tasks.rows import is_beyond_memory

_KEPT = 4
"""Versions that are kept loaded."""

_FIRST_ROWS = 10_000
_PROBED_ROWS = 20
_LONGEST_REASON = 300

_one_at_a_time = Lock()
"""Values change faster than a slow model answers, and each answer takes the cores there are."""

Json = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Tried:
    """A version that is asked about rows that a person makes up."""

    champion: Champion
    evaluated: ModelEvaluated | None
    """What the chain of this home announced that made it."""
    known: pa.Table
    """Rows that it learnt from, in the columns that a row must have."""
    held_out: pa.Table | None
    """Rows that it was scored on, with their `ROW` and target; None where they are not here."""


def form(name: str, version: int, place: int = 0) -> Json:
    """Fields for a row, filled with one of those held out.

    Parameters
    ----------
    name : str
        Of the registered model.
    version : int
    place : int
        Which of the rows held out, from 0; one beyond the last begins anew.

    Raises
    ------
    InputError
        If there is no such version, or nothing says what its rows look like.
    """
    tried = _tried(_reference(name, version))
    row, about = _first_row(tried, place)
    fields = shown_first(fields_of(tried.known.to_pandas(), row), _strength(tried))
    model = tried.champion.model
    return {
        "fields": [one.facts for one in fields],
        "row": about,
        "problem": tried.champion.problem.name,
        "target": model.target,
        "kind": model.kind.value,
        "family": model.family,
        "classes": [str(one) for one in model.classes or ()],
    }


def answer(name: str, version: int, cells: Mapping[str, str], output: str = "") -> Json:
    """Answer to a row, and its Shapley values.

    Parameters
    ----------
    name : str
        Of the registered model.
    version : int
    cells : mapping of str to str
        What was typed by column; what is empty is missing.
    output : str
        Class whose output is explained; the predicted one if it is none.

    Returns
    -------
    dict
        With ``wrong`` by column alone where a cell is not what its column holds.
    """
    tried = _tried(_reference(name, version))
    try:
        raw = row_of(cells, tried.known.schema)
    except CellsError as error:
        return {"wrong": error.wrong}
    with _one_at_a_time:
        said = _answer(tried, raw)
        return said | _drawn(tried, raw, output or said["predicted"])


def _reference(name: str, version: int) -> ModelRef:
    found = version_of(name, version)
    if found is None:
        raise InputError(f"there is no version {version} of {name}; `baton models` lists them")
    return found


@lru_cache(maxsize=_KEPT)
def _tried(reference: ModelRef) -> Tried:
    champion = loaded(reference)
    evaluated = records.of_model(settings(), champion.problem.name, reference)
    known, held_out = _rows(champion, evaluated)
    schema = champion.model.origin["schema"]
    some = known.slice(0, _PROBED_ROWS).to_pandas()
    problem: Problem[Any] = champion.problem
    try:
        needed = list(problem.needed(some, champion.params, schema))
    except (InputError, KeyError, ValueError, TypeError):
        raise InputError(
            f"the rows that {reference.uri} learnt from are not in this home, and nothing else"
            " says what one looks like: ask it by `baton serve`"
        ) from None
    return Tried(champion, evaluated, known.select(needed), held_out)


def _rows(champion: Champion, evaluated: ModelEvaluated | None) -> tuple[pa.Table, pa.Table | None]:
    """Rows that were learnt from, and those held out with their ids; as a file has them."""
    hidden = {champion.model.target, SPLIT}
    try:
        if evaluated is None:
            raise InputError("its chain is not here")
        raw, sides = _raw_and_sides(evaluated.data)
    except InputError:
        sample = profile_of_version(champion.reference).get("sample")
        return (pa.table({}) if sample is None else _plain(sample)), None
    ids = {side: sides[sides[SPLIT] == side.value][ROW] for side in Split}
    known = [name for name in raw.column_names if name not in hidden]
    held_out = raw.take(pa.array(ids[Split.TEST])).append_column(ROW, pa.array(ids[Split.TEST]))
    return raw.take(pa.array(ids[Split.TRAIN])).select(known), held_out


def _raw_and_sides(data: DatasetReady) -> tuple[pa.Table, Any]:
    """Raw table, and the side of each of its rows; of one beyond memory the first rows."""
    if not is_beyond_memory(data):
        whole = results.read(data.features, columns=[ROW, SPLIT])
        return results.read(data.raw), whole.to_pandas()
    raw = results.head(data.raw, _FIRST_ROWS)
    sides: Any = results.head(data.features, _FIRST_ROWS).select([ROW, SPLIT]).to_pandas()
    return raw, sides[sides[ROW] < len(raw)]


def _plain(sample: pa.Table) -> pa.Table:
    """Rows whose categories are text."""
    columns: dict[str, Any] = {}
    for name in sample.column_names:
        column = sample[name]
        is_coded = pa.types.is_dictionary(column.type)
        columns[name] = column.cast(column.type.value_type) if is_coded else column
    return pa.table(columns)


def _first_row(tried: Tried, place: int) -> tuple[dict[str, Any], Json]:
    """A row held out, and what is known of it; where there is none, one that was learnt from."""
    if tried.held_out is None or not tried.held_out.num_rows:
        return _line(tried.known, 0), {"place": None}
    place %= tried.held_out.num_rows
    line = _line(tried.held_out, place)
    actual = _written(line.get(tried.champion.model.target))
    about = {"place": place, "of": tried.held_out.num_rows, "id": int(line[ROW])}
    return line, about | {"actual": actual}


def _line(table: pa.Table, place: int) -> dict[str, Any]:
    """Row of a table, its values as pandas has them."""
    row = table.slice(place, 1).to_pandas()
    return {str(name): row[name].iloc[0] for name in row}


def _written(value: Any) -> str | None:
    return None if value is None or pd.isna(value) else str(value)


def _strength(tried: Tried) -> dict[str, float]:
    """How much each column drives the model, as far as that is known here."""
    if tried.evaluated is None:
        return {}
    try:
        return shapley.strongest(results.read(tried.evaluated.shap_global).to_pandas())
    except InputError:
        return dict(tried.evaluated.drivers)


def _answer(tried: Tried, raw: pa.Table) -> Json:
    """What the model answers, and which cells it does not know what to do with."""
    model = tried.champion.model
    found = tried.champion.predict(raw)
    if not found["predictions"]:
        raise InputError("the model answers no such row: fill in more of it")
    line = found["predictions"][0]
    said = {"predicted": str(plain(line[PREDICTED])), "doubts": found["doubts"]}
    if model.kind is not Kind.CLASSIFICATION:
        interval = model.deciding.interval
        ends = (line[LOW], line[HIGH]) if LOW in line else None
        return said | {
            "value": line[PREDICTED],
            "interval": ends,
            "level": interval.level if interval else None,
        }
    chances = [[str(one), line[f"p({one})"]] for one in model.classes]
    return said | {"chances": chances, "threshold": _threshold(tried)}


def _threshold(tried: Tried) -> Json | None:
    found = tried.evaluated.threshold if tried.evaluated else None
    return found.model_dump(mode="json") if found else None


def _drawn(tried: Tried, raw: pa.Table, output: str) -> Json:
    """What drove the answer; or why nobody can say."""
    model = tried.champion.model
    try:
        values, found = tried.champion.explained(raw)
    except InputError as error:
        return {"why_not": str(error)[:_LONGEST_REASON], "waterfall": None, "outputs": []}
    outputs = [str(one) for one in values.classes]
    place = outputs.index(output) if output in outputs else 0
    drawn = waterfall(values, found.drop(columns=ROW), place, model.target)
    explained = outputs[place] if outputs else ""
    return {"why_not": "", "waterfall": drawn.facts, "outputs": outputs, "explained": explained}
