"""The problem ``relational``: a column of one table, learnt from it and all that is related to it.

The table's own columns are used as ``table`` uses them; beside them stand lookups and aggregations
along its keys (``baton.relational``), as of each row's time where it has one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field

from baton.errors import InputError
from baton.problems.base import Goal
from baton.problems.related import (
    KEYS,
    Names,
    Primitives,
    RelatedParams,
    RelatedProblem,
    every_link,
    stated,
)
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
from baton.relational.account import NAME
from baton.relational.assembly import KEY, KNOWN, Target
from baton.relational.columns import datetimes
from baton.relational.entityset import text_key
from baton.relational.reflection import Related, columns, composites, primary_key, related
from baton.relational.rows import Rows, Wish, dated, gather
from baton.relational.store import guessed_links
from baton.tables.inference import infer
from baton.tables.reading import NOTES
from baton.tables.refusals import unknown_column
from baton.tables.roles import Role, Schema
from baton.terms import RESERVED, Kind
from baton.words.text import counted, listed, quoted

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    from pandera.pandas import DataFrameSchema


_IDS, _REFERENCES = "ids", "references"
"""Keys in a raw table's ``attrs``: columns that name a row, and those that name one elsewhere."""


class RelationalParams(RelatedParams):
    """Parameters of ``relational``."""

    table: Annotated[str, Field(min_length=1, description="table whose rows are learnt")]
    target: Annotated[str, Field(min_length=1, description="its column to predict")]
    time: Annotated[
        str | None,
        BeforeValidator(given),
        Field(
            description="its column of dates: a row sees what was known by then, and held-out rows"
            " and folds are later"
        ),
    ] = None
    delay: Annotated[
        float,
        Field(
            ge=0, le=36_500, description="days after a row's time until later rows see its target"
        ),
    ] = 0.0
    group: Annotated[
        str | None,
        BeforeValidator(given),
        Field(
            description="its column of what rows belong to: held-out rows and folds are of others"
        ),
    ] = None
    kind: Annotated[
        Kind | None, Field(description="classification or regression; by default inferred")
    ] = None
    name: Annotated[
        ModelName | None,
        BeforeValidator(given),
        Field(description="what the model is called; by default as database, table and target"),
    ] = None
    drop: Annotated[
        Names,
        Field(description="columns, features, other tables or their columns to leave out: a,b.c"),
    ] = ()
    primitives: Primitives = (
        "count", "sum", "mean", "std", "min", "max", "last", "num_unique", "mode", "percent_true",
        "texts", "time_since_first", "time_since_last", "avg_time_between",
    )  # fmt: skip
    test_size: Annotated[float, Field(gt=0, lt=1, description="part held out")] = 0.25
    seed: Annotated[int, Field(ge=0, lt=2**32, description="seed of the split")] = 0


class Relational(TabularProblem[RelationalParams], RelatedProblem[RelationalParams]):
    """A user's own tables."""

    name = "relational"
    summary = "a table and all that is related to it, of a database or a folder of files"
    params = RelationalParams
    names_models = ("name", "target")

    def model_name(self, params: RelationalParams) -> str:
        """Name that was given, or one made of the database's, the table's and the target's."""
        database = Path(params.url.rstrip("/").split("/")[-1].split("?")[0]).stem
        return params.name or slug(database, params.table, params.target)

    def table(self, params: RelationalParams) -> tuple[str, str]:
        """The table whose rows are learnt."""
        return params.table, "table"

    def names(self, params: RelationalParams) -> dict[str, str]:
        """Target, and what its rows hang together by."""
        named = {name: getattr(params, name) for name in ("target", "time", "group")}
        return {name: column for name, column in named.items() if column}

    def require(self, keys: pd.DataFrame, params: RelationalParams) -> None:
        """Check the names that were given against what is there.

        Raises
        ------
        InputError
            If there is no such table or column, or one is asked for twice.
        """
        super().require(keys, params)
        own = columns(keys, params.table)
        if reserved := [name for name in (*RESERVED, KNOWN, KEY) if name in own]:
            raise InputError(
                f"{params.table} has a column {quoted(reserved)}, a name Baton keeps for itself;"
                " rename it"
            )
        if params.target == primary_key(keys, params.table):
            raise InputError(
                f"target {params.target!r} is the key of {params.table}, which names its rows;"
                " choose another column"
            )
        for what in ("time", "group"):
            if getattr(params, what) == params.target:
                raise InputError(f"{what} {params.target!r} is the target; choose another column")
        if params.time and params.time == params.group:
            raise InputError(f"time and group are both {params.time!r}; leave one of them out")
        if params.target in params.drop:
            raise InputError(f"target {params.target!r} is in drop; take it out of one of them")
        for name in params.drop:
            _require_droppable(keys, name, params)

    def around(self, keys: pd.DataFrame, params: RelationalParams) -> Related:
        """Tables along the keys; not along one that is the target, which would give it away."""
        found = [
            link
            for link in every_link(keys, params)
            if params.target not in _ends(link, params.table)
            and not {link.parent, link.child} & _dropped_tables(params)
        ]
        owners = {r.parent: 1 for r in found if r.child == params.table != r.parent}
        return related(found, params.table, owners, params.hops)

    def joined(
        self, params: RelationalParams, tables: Mapping[str, pd.DataFrame], *, only_new: bool
    ) -> pd.DataFrame:
        """Rows of the table: its own columns, then what is looked up and summed up for them."""
        return _joined(params, tables, only_new=only_new)

    def contract(self, params: RelationalParams) -> DataFrameSchema:
        """At least two target values, numbers finite, and a date where one is named."""
        from pandera.pandas import Check, Column, DataFrameSchema

        finite = Check(is_finite, error="finite numbers")
        varied = Check(lambda values: values.nunique() > 1, error="at least two different values")
        time = {params.time: Column("datetime64[us]")} if params.time else {}
        return DataFrameSchema(
            {params.target: Column(checks=[finite, varied], nullable=True), **time}
        )

    def goal(self, raw: pd.DataFrame, params: RelationalParams) -> Goal:
        """Kind by the target's values unless it was given, and what was inferred, in sentences."""
        notes = held_out_notes(params)
        return goal_of(raw, params.target, self.inferred(raw, params), params.kind, notes)

    def inferred(self, raw: pd.DataFrame, params: RelationalParams) -> Schema:
        """What the columns are for, by the rows that have a target."""
        drop = (*params.drop, *raw.attrs.get(_IDS, ()))
        names = raw.attrs.get(_REFERENCES, ())
        return infer(raw, params.target, params.kind, drop, params.group, names)

    def schema(self, raw: pd.DataFrame, params: RelationalParams) -> dict[str, Any]:
        """What the columns are for, and the tables that they are made from."""
        return {**super().schema(raw, params), **stated(raw)}

    def new_features(
        self, raw: pd.DataFrame, params: RelationalParams, schema: dict[str, Any]
    ) -> pd.DataFrame:
        """Features that the model knows; those that cannot be made of these rows are missing."""
        used = SCHEMA.validate_python(schema).columns
        made = [one.name for one in used if one.role is not Role.DROPPED]
        absent = dict.fromkeys(name for name in made if name not in raw)
        return super().new_features(raw.assign(**absent) if absent else raw, params, schema)


def _ends(link: Any, table: str) -> set[str]:
    """Columns of a table that a key joins by."""
    own = {link.foreign_key} if link.child == table else set()
    return own | ({link.parent_key} if link.parent == table else set())


def _dropped_tables(params: RelationalParams) -> set[str]:
    return set(params.drop) - {params.table}


def _dropped_columns(params: RelationalParams) -> frozenset[tuple[str, str]]:
    places = (tuple(name.split(".")) for name in params.drop if name.count(".") == 1)
    return frozenset((table, column) for table, column in places)


def _require_droppable(keys: pd.DataFrame, name: str, params: RelationalParams) -> None:
    """Refuse what is neither a column, a table nor one's column; features are known later."""
    own = columns(keys, params.table)
    tables = set(keys["table"])
    if name in own or name in tables - {params.table}:
        return
    table, _, column = name.partition(".")
    if table in tables and "." not in column and column in columns(keys, table):
        return
    if "(" not in name and "." not in name:
        raise unknown_column("drop", name, [*own, *sorted(tables)], f"table {params.table}")


def _gathered(
    params: RelationalParams, tables: Mapping[str, pd.DataFrame]
) -> tuple[Rows, list[str]]:
    """Rows and what is made of them, and sentences on that."""
    import polars as pl

    keys = tables[KEYS]
    around = problem.around(keys, params)
    frames = {name: pl.from_pandas(tables[name]) for name in around.tables}
    notes = [*_on_guessed(keys, around), *composites(keys, params.table)]
    if params.time:
        frames[params.table], lost = _dated(frames[params.table], params, params.time)
        notes += [f"{counted(lost, 'row')} without {params.time!r} left out."] if lost else []
        notes += [
            _on_history(params),
            f"Dates later than a row's {params.time} are hidden from it.",
        ]
    asked = (params.dates, params.primitives, params.depth, params.max_features)
    found = gather(frames, keys, {}, Wish(_target(params, around), around, *asked))
    return found, [*found.notes, *notes]


def _dated(rows: pl.DataFrame, params: RelationalParams, time: str) -> tuple[pl.DataFrame, int]:
    """Rows with a date, and how many are without."""
    whole, lost = dated(rows, time, [time], "row's date", f"{params.table}.time")
    if whole.is_empty():
        raise InputError(f"no row of {params.table} has a date in {time!r}")
    return whole, lost


def _target(params: RelationalParams, around: Related) -> Target:
    """The table, its target known to later rows only, or to none where rows have no time."""
    hidden = frozenset({(params.table, params.target)})
    return Target(
        params.table,
        params.time,
        frozenset(r.parent for r in around.links if r.child == params.table),
        without=_dropped_columns(params) | (frozenset() if params.time else hidden),
        late=frozenset({params.target}) if params.time else frozenset(),
        delay=timedelta(days=params.delay),
        is_whole=True,
    )


def _on_guessed(keys: pd.DataFrame, around: Related) -> list[str]:
    links = [str(r) for r in around.links if r.foreign_key and _is_guessed(keys, r)]
    if not links:
        return []
    return [
        f"no key is declared; by names and values: {listed(links, 20, last=', ')}. Give others by"
        " relations."
    ]


def _is_guessed(keys: pd.DataFrame, link: Any) -> bool:
    return any(
        (r.child, r.foreign_key) == (link.child, link.foreign_key) for r in guessed_links(keys)
    )


def _on_history(params: RelationalParams) -> str:
    after = f"{params.delay:g} days after their {params.time}" if params.delay else "from then on"
    return (
        f"{params.target} of earlier rows counts as known {after}; delay says in days if it comes"
        " to be known later."
    )


def _joined(
    params: RelationalParams, tables: Mapping[str, pd.DataFrame], *, only_new: bool
) -> pd.DataFrame:
    import polars as pl

    found, notes = _gathered(params, tables)
    rows = pl.Series(range(len(found.frame)), dtype=pl.UInt32)
    if only_new:
        rows = rows.filter(found.frame[params.target].is_null())
    own = _own_columns(found, tables[params.table], params)
    values = found.values(rows)
    made = values.drop([name for name in (*own.columns, *params.drop) if name in values])
    if not only_new:
        made = made.select(_telling(made.filter(own[rows][params.target].is_not_null())))
    raw = pl.concat([own[rows], made], how="horizontal").to_pandas()
    _require_known(params, tables, [*own.columns, *values.columns])
    key = primary_key(tables[KEYS], params.table)
    raw.attrs |= {
        NOTES: notes,
        NAME: found.relations.as_json(),
        _IDS: [key] if key in own.columns else [],
        _REFERENCES: _references(found, params),
    }
    return raw


def _own_columns(found: Rows, raw: pd.DataFrame, params: RelationalParams) -> pl.DataFrame:
    """The table's columns: references as text, dates after the row's time hidden."""
    import polars as pl

    own = found.frame.select(name for name in raw.columns)
    own = own.with_columns(
        text_key(own[name]).alias(name)
        for name in _references(found, params)
        if name != params.target
    )
    if params.time is None:
        return own
    later = [name for name in datetimes(own) if name not in {params.time, params.target}]
    return own.with_columns(
        pl.when(pl.col(n) <= pl.col(params.time)).then(n).alias(n) for n in later
    )


def _references(found: Rows, params: RelationalParams) -> list[str]:
    links = found.entities.links
    return sorted({link.foreign_key for link in links if link.child == params.table})


def _require_known(
    params: RelationalParams, tables: Mapping[str, pd.DataFrame], made: list[str]
) -> None:
    known = {*made, *tables, *(f"{t}.{c}" for t, frame in tables.items() for c in frame)}
    known |= set(tables[KEYS]["table"])
    for name in params.drop:
        if name not in known:
            raise unknown_column("drop", name, sorted(made), f"the features of {params.table}")


def _telling(values: pl.DataFrame) -> list[str]:
    """Names of the features that say something: neither constant nor the same as one before."""
    seen: dict[bytes, str] = {}
    for name in values.columns:
        if values[name].n_unique() > 1:
            seen.setdefault(values[name].hash().to_numpy().tobytes(), name)
    return list(seen.values())


problem = Relational()
