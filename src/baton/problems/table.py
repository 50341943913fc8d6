"""The problem ``table``: any table, of files or of a query, with the column to be predicted.

What the columns are for is inferred (``baton.tables``); everything inferred is said in the
goal's notes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from baton.errors import InputError
from baton.lineage import digest_of, digest_of_file
from baton.problems.base import Goal, Params
from baton.problems.splits import marked
from baton.problems.tabular import (
    SCHEMA,
    ModelName,
    TabularProblem,
    given,
    goal_of,
    held_out_notes,
    is_finite,
    slug,
)
from baton.relational.database import Database, checked_url, is_folder
from baton.relational.folder import SUFFIXES
from baton.settings import settings
from baton.sources import places
from baton.tables import streams
from baton.tables.arrow import is_unusable, plain, table_of, without_null_types
from baton.tables.bonds import group_values, weight_values
from baton.tables.features import build, target_values, used_columns
from baton.tables.formats import Format, Source
from baton.tables.inference import infer
from baton.tables.reading import NOTES, attrs_of, new_rows, read
from baton.tables.refusals import unknown_column
from baton.tables.roles import Schema
from baton.tables.source import describe_all
from baton.tables.target import target_kind, target_role
from baton.terms import ROW, SPLIT, Kind, Split, names_in
from baton.words.text import quoted

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    from pandera.pandas import DataFrameSchema

    from baton.problems.targets import Targets

QUERY = "query"
"""Name of the source that holds what a query gives."""


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else given(value)


def _database_url(value: str) -> str:
    if is_folder(value) or ("://" not in value and value.lower().endswith(SUFFIXES)):
        raise ValueError("it is of a database: give a file, or a folder of files, by path")
    return checked_url(value)


Place = Annotated[str, AfterValidator(places.checked)]


class TableParams(Params):
    """Parameters of ``table``."""

    path: Annotated[
        Place | None,
        BeforeValidator(_as_text),
        Field(
            description="CSV, JSON lines, Excel, Parquet or Arrow file, also packed (.gz, .bz2,"
            " .xz, .zip); a folder or a glob of such files; an address, http or of a bucket such as"
            " s3://bucket/key; - for a pipe"
        ),
    ] = None
    target: Annotated[str, Field(min_length=1, description="column to predict")]
    test_path: Annotated[
        Place | None,
        BeforeValidator(_as_text),
        Field(description="the same with the held-out rows; by default part of the first"),
    ] = None
    sheet: Annotated[str, Field(description="sheet of a workbook, if several hold something")] = ""
    sql: Annotated[
        str | None,
        BeforeValidator(given),
        Field(description="query that gives the table, in place of path; of the database at url"),
    ] = None
    url: Annotated[
        Annotated[str, AfterValidator(_database_url)] | None,
        BeforeValidator(given),
        Field(
            repr=False,
            description="SQLAlchemy URL without a password, or the path of a SQLite file",
        ),
    ] = None
    secret: Annotated[
        str | None,
        BeforeValidator(given),
        Field(
            description="Prefect Secret block with the password; by default BATON_DATABASE_PASSWORD"
        ),
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

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.path and (self.sql or self.url):
            raise ValueError("give either path, or sql and url")
        if bool(self.sql) != bool(self.url):
            raise ValueError("sql and url belong together: give both, or path alone")
        if not self.path and not self.sql:
            raise ValueError("it needs parameter 'path': add -p path=…, or -p sql=… -p url=…")
        if self.sql and (self.test_path or self.sheet):
            raise ValueError("test_path and sheet go with path, not with sql")
        return self

    @property
    def database(self) -> Database:
        """Where the query is asked."""
        assert self.url is not None
        return Database(self.url, self.secret)

    @property
    def place(self) -> str:
        """Where the table's files are, or the database that is asked."""
        if self.url is None:
            return self.path or ""
        return str(self.database.file or self.url.split("?")[0])

    @property
    def where(self) -> str:
        """The table as an error names it."""
        return self.path or f"the query of {self.url}"


class TableProblem(TabularProblem[TableParams]):
    """A user's own table."""

    name = "table"
    summary = "any table, of files or a query, classification or regression"
    params = TableParams
    names_models = ("name", "target")
    piped = ("path",)
    rows_at_once = 50_000

    def model_name(self, params: TableParams) -> str:
        """Name that was given, or one made of the file's and the target's: ``wine-quality``."""
        return params.name or slug(places.name_of(params.place), params.target)

    def source_name(self, params: TableParams) -> str:
        """Name of the file, the folder or the database."""
        return places.title_of(params.place)

    def fingerprint(self, params: TableParams) -> str | None:
        """SHA-256 of the files' content, once their heads are known to fit the parameters.

        Of a query to a SQLite file that of the file; what a server gives, only reading tells.
        """
        if params.sql:
            _require_fitting(params, params.database.columns_of(params.sql), {})
            return _digest_of_database(params)
        train, test = _sources(params)
        digests = [[digest_of_file(one.path) for one in side] for side in (train, test)]
        if digests[0] == digests[1]:
            raise InputError(
                f"test_path {params.test_path} has the same content as path: give other rows or "
                "leave test_path out"
            )
        return digests[0][0] if len(train) == 1 and not test else digest_of(digests)

    def forget(self, params: TableParams) -> None:
        """Forget the downloads of which the server has another version now."""
        for place in (params.path, params.test_path):
            if place:
                places.forget(place)

    def sources(self, params: TableParams) -> tuple[str, ...]:
        """What a query gives; files are read at once."""
        return (QUERY,) if params.sql else ()

    def read(self, params: TableParams, source: str) -> pd.DataFrame:  # noqa: ARG002
        """Rows of the query."""
        assert params.sql is not None
        return params.database.query(params.sql)

    def join(self, params: TableParams, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
        """Rows of the query, in plain types."""
        return _plain(tables[QUERY]) if params.sql else self.load(params)

    def load(self, params: TableParams) -> pd.DataFrame:
        """Rows of the files, then those of ``test_path``, marked in the column `SPLIT`."""
        if params.sql:
            return _plain(self.read(params, QUERY))
        return read(*_sources(params), target=params.target)

    def pieces(self, params: TableParams) -> Iterator[pd.DataFrame] | None:
        """Rows of large CSV files, where neither time nor group parts them, nor a second file."""
        found = _large(params)
        if not found:
            return None
        types = without_null_types(streams.typed_sample(found)).schema
        return streams.pieces(found, types)

    def telling_rows(self, first: pd.DataFrame, params: TableParams) -> pd.DataFrame:  # noqa: ARG002
        """A sample from all parts of the files."""
        return streams.sample(_large(params))

    def features_of_piece(
        self,
        raw: pd.DataFrame,
        params: TableParams,  # noqa: ARG002
        schema: dict[str, Any],
    ) -> pd.DataFrame:
        """Columns of use, read as those of the sample were."""
        return build(raw, SCHEMA.validate_python(schema))

    def target_of_piece(
        self, raw: pd.DataFrame, params: TableParams, schema: dict[str, Any]
    ) -> pd.Series:
        """Target of every row, missing where it has none."""
        known = SCHEMA.validate_python(schema).target
        assert known is not None
        return target_values(raw[params.target], known)

    def held_out(self, targets: Targets, params: TableParams) -> np.ndarray:
        """By chance, as of a table in memory."""
        return targets.held_out(params.test_size, params.seed)

    def contract_of_piece(self, params: TableParams) -> DataFrameSchema:
        """The same, but for the target, which may have one value in a piece."""
        return self._contract(params, [])

    def contract(self, params: TableParams) -> DataFrameSchema:
        """Every column of the file's header, numbers finite, and at least two target values."""
        from pandera.pandas import Check

        return self._contract(
            params,
            [Check(lambda values: values.nunique() > 1, error="at least two different values")],
        )

    def _contract(self, params: TableParams, of_target: list[Any]) -> DataFrameSchema:
        from pandera.pandas import Check, Column, DataFrameSchema

        finite = Check(is_finite, error="finite numbers")
        columns = {name: Column(checks=finite, nullable=True) for name in _columns(params)}
        ignored = {name: Column(nullable=True, required=False) for name in params.drop}
        target = {params.target: Column(checks=[finite, *of_target], nullable=True)}
        side = {SPLIT: Column(str, Check.isin([side.value for side in Split]))}
        held_out = side if params.test_path else {}
        return DataFrameSchema(columns | ignored | target | held_out, strict=not params.sql)

    def goal(self, raw: pd.DataFrame, params: TableParams) -> Goal:
        """Kind by the target's values unless it was given, and what was inferred, in sentences."""
        learned = raw if SPLIT not in raw else raw[raw[SPLIT] == Split.TRAIN.value]
        schema, notes = self.inferred(raw, params), _bond_notes(raw, params)
        return goal_of(learned, params.target, schema, params.kind, notes)

    def kind(self, params: TableParams) -> Kind | None:
        """By the target's column alone, unless it was given; a query is not asked for it."""
        if params.kind is not None or params.sql:
            return params.kind
        large = _large(params)
        raw = streams.sample(large) if large else read(_sources(params)[0], only=[params.target])
        values = raw[params.target]
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

    def for_new_rows(self, learnt: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
        """Those of the training rows but for some; another place takes that of the table's."""
        own = {"path": ("sql", "url", "secret"), "sql": ("path",), "url": ("path",)}
        other = {name for one in given if one in own for name in (*own[one], "sheet", "test_path")}
        return {name: value for name, value in learnt.items() if name not in other} | given

    def require_new(self, params: TableParams, schema: dict[str, Any]) -> tuple[str, ...]:
        """See that the columns that a model learnt from are there; the others are left aside."""
        found = _new_columns(params)
        known: Schema = SCHEMA.validate_python(schema)
        wanted = [column.name for column in used_columns(known)]
        if missing := [name for name in wanted if name not in found]:
            raise _lacking(params, missing, wanted, found)
        target = known.target.name if known.target else params.target
        kept = {column.name for column in known.columns} | {
            target,
            params.group,
            params.weight,
            *params.drop,
        }
        return tuple(name for name in found if name not in kept)

    def unseen_fingerprint(self, params: TableParams) -> str | None:
        """SHA-256 of the files at ``path``, which need no target."""
        if params.sql:
            return _digest_of_database(params)
        assert params.path is not None
        places.forget(params.path)  # new rows are those that stand there now
        digests = [digest_of_file(source.path) for source in _described(params)]
        return digests[0] if len(digests) == 1 else digest_of(digests)

    def unseen(self, params: TableParams) -> pd.DataFrame:
        """Rows of the files at ``path``, which need no target."""
        import pyarrow as pa

        table = pa.concat_tables(list(self.unseen_tables(params)))
        frame: pd.DataFrame = table.to_pandas()
        frame.attrs |= attrs_of(table.schema)
        return frame

    def unseen_tables(self, params: TableParams) -> Iterator[pa.Table]:
        """Rows to be predicted as they stand in the files, some thousand at a time."""
        import pyarrow as pa

        if params.sql:
            yield pa.Table.from_pandas(_plain(self.read(params, QUERY)), preserve_index=False)
        else:
            yield from new_rows(_described(params))

    def new_columns(self, given: dict[str, Any]) -> tuple[str, ...]:
        """Columns of the file at ``path``."""
        path = given.get("path")
        if not path or places.is_remote(path):
            return ()
        return describe_all(places.files(path), given.get("sheet", ""))[0].columns

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


def _digest_of_database(params: TableParams) -> str | None:
    """SHA-256 of a SQLite file; of a server only reading tells."""
    return params.database.fingerprint() if params.database.is_quiet else None


def _described(params: TableParams) -> tuple[Source, ...]:
    """Heads of the files at ``path``."""
    assert params.path is not None
    return describe_all(places.files(params.path), params.sheet)


def _sources(params: TableParams) -> tuple[tuple[Source, ...], tuple[Source, ...]]:
    """Heads of the files, checked against the parameters."""
    train = _described(params)
    _require_fitting(params, train[0].columns, dict(train[0].unusable))
    if params.test_path is None:
        return train, ()
    is_book = train[0].format is Format.EXCEL
    test = describe_all(places.files(params.test_path), params.sheet if is_book else "")
    _require_same_columns(params, train[0], test[0])
    return train, test


def _large(params: TableParams) -> tuple[Source, ...]:
    """CSV files that are to be read piece by piece; none if the table is read in whole."""
    if params.sql or params.test_path or params.time or params.group:
        return ()
    found, _ = _sources(params)
    return found if streams.size_of(found) > settings().stream_bytes else ()


def _columns(params: TableParams) -> tuple[str, ...]:
    """Columns that the raw table must have."""
    return () if params.sql else _sources(params)[0][0].columns


def _new_columns(params: TableParams) -> tuple[str, ...]:
    if params.sql:
        return params.database.columns_of(params.sql)
    return _described(params)[0].columns


def _lacking(
    params: TableParams, missing: list[str], wanted: list[str], found: tuple[str, ...]
) -> InputError:
    """Error for new rows without some columns: which, and whether it is another table at all."""
    if len(missing) == 1:
        return unknown_column("column", missing[0], found, params.where)
    what = f"{params.where} lacks {len(missing)} of the {len(wanted)} columns that the model"
    said = f"{what} learnt from: {quoted(missing)}; it has: {quoted(found, 20)}"
    is_other = 2 * len(missing) > len(wanted)
    fix = "is it another table? -p name= says which model is meant" if is_other else "add them"
    return InputError(f"{said}; {fix}")


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Columns of a query in the few plain types of a raw table, and what was left out."""
    import pyarrow as pa

    table = pa.Table.from_pandas(frame, preserve_index=False)
    dropped = {f.name: str(f.type) for f in table.schema if is_unusable(f.type)}
    kept = [name for name in table.column_names if name not in dropped]
    found: pd.DataFrame = table_of({name: plain(table[name]) for name in kept}).to_pandas()
    found.attrs[NOTES] = [
        f"dropped '{name}': {kind} is neither a number, a date nor text"
        for name, kind in dropped.items()
    ]
    return found


def _require_fitting(
    params: TableParams, columns: tuple[str, ...], unusable: dict[str, str]
) -> None:
    """See that the columns that parameters name are there."""
    if params.target in unusable:
        raise InputError(
            f"target {params.target!r} is {unusable[params.target]}, which cannot be predicted; "
            "choose another target"
        )
    if params.target in params.drop:
        raise InputError(f"target {params.target!r} is in drop; take it out of one of them")
    if params.target not in columns:
        raise unknown_column("target", params.target, columns, params.where)
    known = (*columns, *unusable)
    for name in params.drop:
        if name not in known:
            raise unknown_column("drop", name, known, params.where)
    _require_bonds(params, columns)


def _require_bonds(params: TableParams, columns: tuple[str, ...]) -> None:
    asked = {what: getattr(params, what) for what in ("time", "group", "weight")}
    for what, name in asked.items():
        if name is None:
            continue
        if name == params.target:
            raise InputError(f"{what} {name!r} is the target; choose another column")
        if name not in columns:
            raise unknown_column(what, name, columns, params.where)
    for one, other in combinations([what for what, name in asked.items() if name], 2):
        if asked[one] == asked[other]:
            raise InputError(f"{one} and {other} are both {asked[one]!r}; leave one of them out")


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
