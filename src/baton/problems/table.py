"""The problem ``table``: any CSV or Parquet file, with the column that is to be predicted.

What the columns are for is inferred (``baton.tables``); everything inferred is said in the
goal's notes.
"""

from __future__ import annotations

import hashlib
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from baton.errors import InputError
from baton.lineage import digest_of_file
from baton.problems.base import Goal, Params
from baton.problems.splits import marked
from baton.problems.tabular import (
    ModelName,
    TabularProblem,
    given,
    goal_of,
    held_out_notes,
    is_finite,
    slug,
)
from baton.sources.local import absolute
from baton.tables.bonds import group_values, weight_values
from baton.tables.features import target_values
from baton.tables.inference import infer
from baton.tables.reading import read
from baton.tables.refusals import unknown_column
from baton.tables.roles import Schema
from baton.tables.source import Source, describe
from baton.tables.target import target_kind, target_role
from baton.terms import ROW, SPLIT, Kind, Split, names_in

if TYPE_CHECKING:
    import pandas as pd
    from pandera.pandas import DataFrameSchema


def _local(path: Path) -> Path:
    """Absolute path, so that a process with another working directory reads the same file."""
    if ":/" in str(path):
        raise ValueError("only local files can be read: download it and give its path")
    return absolute(path)


File = Annotated[Path, AfterValidator(_local)]


class TableParams(Params):
    """Parameters of ``table``."""

    path: Annotated[File, Field(description="CSV (also .gz, .bz2, .xz, .zip) or Parquet file")]
    target: Annotated[str, Field(min_length=1, description="column to predict")]
    test_path: Annotated[
        File | None,
        BeforeValidator(given),
        Field(description="second file, with the held-out rows; by default part of the first"),
    ] = None
    kind: Annotated[
        Kind | None, Field(description="classification or regression; by default inferred")
    ] = None
    name: Annotated[
        ModelName | None,
        BeforeValidator(given),
        Field(description="what the model is called; by default as the file and the target"),
    ] = None
    drop: Annotated[
        tuple[str, ...],
        BeforeValidator(names_in),
        Field(description="columns to leave out: a,b or a JSON list"),
    ] = ()
    time: Annotated[
        str | None,
        BeforeValidator(given),
        Field(description="column that says when a row was: held-out rows and folds are later"),
    ] = None
    group: Annotated[
        str | None,
        BeforeValidator(given),
        Field(description="column of what rows belong to: held-out rows and folds are of others"),
    ] = None
    weight: Annotated[
        str | None,
        BeforeValidator(given),
        Field(description="column that says how much a row counts; it is no feature"),
    ] = None
    test_size: Annotated[
        float, Field(gt=0, lt=1, description="part held out, if there is no test_path")
    ] = 0.25
    seed: Annotated[int, Field(ge=0, lt=2**32, description="seed of the split")] = 0


class TableProblem(TabularProblem[TableParams]):
    """A user's own table."""

    name = "table"
    summary = "any CSV or Parquet file, classification or regression"
    params = TableParams
    names_models = ("name", "target")

    def model_name(self, params: TableParams) -> str:
        """Name that was given, or one made of the file's and the target's: ``wine-quality``."""
        return params.name or slug(params.path.name.split(".")[0], params.target)

    def source_name(self, params: TableParams) -> str:
        """Name of the file."""
        return params.path.name

    def fingerprint(self, params: TableParams) -> str:
        """SHA-256 of the files' content, once their heads are known to fit the parameters."""
        _sources(params)
        digests = [
            digest_of_file(path) for path in (params.path, params.test_path) if path is not None
        ]
        if len(digests) == 1:
            return digests[0]
        if digests[0] == digests[1]:
            raise InputError(
                f"test_path {params.test_path} has the same content as path: give other rows or "
                "leave test_path out"
            )
        return hashlib.sha256("".join(digests).encode()).hexdigest()

    def load(self, params: TableParams) -> pd.DataFrame:
        """Rows of the file, then those of ``test_path``, marked in the column `SPLIT`."""
        return read(*_sources(params), target=params.target)

    def contract(self, params: TableParams) -> DataFrameSchema:
        """Every column of the file's header, numbers finite, and at least two target values."""
        from pandera.pandas import Check, Column, DataFrameSchema

        train, _ = _sources(params)
        finite = Check(is_finite, error="finite numbers")
        varied = Check(lambda values: values.nunique() > 1, error="at least two different values")
        columns = {name: Column(checks=finite, nullable=True) for name in train.columns}
        ignored = {name: Column(nullable=True, required=False) for name in params.drop}
        target = {params.target: Column(checks=[finite, varied], nullable=True)}
        side = {SPLIT: Column(str, Check.isin([side.value for side in Split]))}
        held_out = side if params.test_path else {}
        return DataFrameSchema(columns | ignored | target | held_out, strict=True)

    def goal(self, raw: pd.DataFrame, params: TableParams) -> Goal:
        """Kind by the target's values unless it was given, and what was inferred, in sentences."""
        learned = raw if SPLIT not in raw else raw[raw[SPLIT] == Split.TRAIN.value]
        schema, notes = self.inferred(raw, params), _bond_notes(raw, params)
        return goal_of(learned, params.target, schema, params.kind, notes)

    def kind(self, params: TableParams) -> Kind | None:
        """By the target's column alone, unless it was given."""
        if params.kind is not None:
            return params.kind
        train, _ = _sources(params)
        values = read(train, only=[params.target])[params.target]
        known = target_role(values)
        return target_kind(params.target, target_values(values, known), None)[0]

    def weights(
        self, features: pd.DataFrame, raw: pd.DataFrame, params: TableParams
    ) -> pd.Series | None:
        """How much each row counts, by the column `weight`."""
        if params.weight is None:
            return None
        found = weight_values(raw[params.weight].take(features[ROW].to_numpy()))
        return found.set_axis(features.index)

    def unseen_fingerprint(self, params: TableParams) -> str:
        """SHA-256 of the file at ``path``, which needs no target."""
        describe(params.path)
        return digest_of_file(params.path)

    def unseen(self, params: TableParams) -> pd.DataFrame:
        """Rows of the file at ``path``, which need no target."""
        return read(describe(params.path))

    def split(self, features: pd.DataFrame, raw: pd.DataFrame, params: TableParams) -> pd.Series:
        """By file if there is a ``test_path``, by time and group if asked for, else at random."""
        if params.test_path is not None:
            return _by_file(features, raw, params)
        return super().split(features, raw, params)

    def inferred(self, raw: pd.DataFrame, params: TableParams) -> Schema:
        """What the columns are for, by the training rows."""
        left_out = (*params.drop, params.weight) if params.weight else params.drop
        return infer(raw, params.target, params.kind, left_out, params.group)


def _bond_notes(raw: pd.DataFrame, params: TableParams) -> list[str]:
    """How rows are held out by time and group, where that was asked for."""
    if params.test_path is not None:
        return _shared_groups(raw, params)
    weighed = f"rows count as '{params.weight}' says, which is no feature"
    return [*held_out_notes(params), *([weighed] if params.weight else [])]


def _shared_groups(raw: pd.DataFrame, params: TableParams) -> list[str]:
    """Say where the second file's rows belong to what the first one's do."""
    if params.group is None:
        return []
    groups, is_test = group_values(raw[params.group]), (raw[SPLIT] == Split.TEST.value).to_numpy()
    shared = int(groups[is_test].isin(groups[~is_test]).sum())
    if not shared:
        return []
    return [f"{shared:,} held-out rows are of values of '{params.group}' that are learnt from too"]


def _sources(params: TableParams) -> tuple[Source, Source | None]:
    """Heads of the files, checked against the parameters."""
    train = describe(params.path)
    _require_target(params, train)
    _require_droppable(params, train)
    _require_bonds(params, train)
    if params.test_path is None:
        return train, None
    test = describe(params.test_path)
    _require_same_columns(params, train, test)
    return train, test


def _require_target(params: TableParams, source: Source) -> None:
    unusable = dict(source.unusable)
    if params.target in unusable:
        raise InputError(
            f"target {params.target!r} is {unusable[params.target]}, which cannot be predicted; "
            "choose another target"
        )
    if params.target in params.drop:
        raise InputError(f"target {params.target!r} is in drop; take it out of one of them")
    if params.target not in source.columns:
        raise unknown_column("target", params.target, source.columns, str(source.path))


def _require_droppable(params: TableParams, source: Source) -> None:
    known = (*source.columns, *dict(source.unusable))
    for name in params.drop:
        if name not in known:
            raise unknown_column("drop", name, known, str(source.path))


def _require_bonds(params: TableParams, source: Source) -> None:
    for what in ("time", "group", "weight"):
        name = getattr(params, what)
        if name is None:
            continue
        if name == params.target:
            raise InputError(f"{what} {name!r} is the target; choose another column")
        if name not in source.columns:
            raise unknown_column(what, name, source.columns, str(source.path))
    given = {what: getattr(params, what) for what in ("time", "group", "weight")}
    for one, other in combinations([what for what, name in given.items() if name], 2):
        if given[one] == given[other]:
            raise InputError(f"{one} and {other} are both {given[one]!r}; leave one of them out")


def _require_same_columns(params: TableParams, train: Source, test: Source) -> None:
    missing = [n for n in train.columns if n not in test.columns and n not in params.drop]
    if missing:
        shown = ", ".join(f"'{name}'" for name in missing[:5])
        raise InputError(
            f"test_path {test.path} lacks {len(missing)} of the columns of {train.path.name}: "
            f"{shown}; add or drop them"
        )


def _by_file(features: pd.DataFrame, raw: pd.DataFrame, params: TableParams) -> pd.Series:
    """Split by the mark that `load` put on each row."""
    is_test = (raw[SPLIT] == Split.TEST.value).to_numpy()[features[ROW]]
    sides = marked(features.index, is_test)
    for side in Split:
        if not (sides == side).any():
            raise InputError(
                f"no row of the {side} file has a value of {params.target!r}; fill some in"
            )
    return sides


problem = TableProblem()
