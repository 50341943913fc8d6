"""The problem ``churn``: which orders are followed by no other of the same customer.

Orders, customers and whatever the database relates to them; the features come from
``baton.relational``, as of each order's date.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from baton.errors import InputError
from baton.problems.base import Goal, Params, SourcedProblem
from baton.problems.splits import grouped, stratified
from baton.relational.assembly import Assembly, Target, assemble
from baton.relational.database import Database, checked_url, digest_of_database
from baton.relational.primitives import chosen
from baton.relational.reflection import (
    Related,
    columns,
    links,
    owner,
    primary_key,
    related,
)
from baton.relational.schema import Relationship
from baton.tables.refusals import unknown_column
from baton.terms import ROW, Kind, names_in
from baton.words.text import counted, listed

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    from pandera.pandas import DataFrameSchema

    from baton.relational.entityset import EntitySet

TARGET = "churn"
KEYS = "_keys"
"""Name of the source that holds the keys that the database declares."""

HYPERPARAMETERS = {
    "encoding": "native",
    "early_stopping": False,
    "n_estimators": 150,
    "learning_rate": 0.1,
    "num_leaves": 50,
    "min_data_in_leaf": 20,
    "min_sum_hessian_in_leaf": 0.001,
    "bagging_fraction": 1.0,
    "feature_fraction": 0.5,
}
"""Within the space that was searched for the published figures on AdventureWorks."""

SPACE = {
    "n_estimators": [20, 150],
    "learning_rate": [0.01, 0.2],
    "num_leaves": {"low": 20, "high": 50, "step": 10},
    "max_depth": [6, 12],
    "min_data_in_leaf": {"low": 20, "high": 50, "step": 5},
    "max_bin": [200, 300],
    "lambda_l1": [0.0, 10.0],
    "lambda_l2": [0.0, 10.0],
    "min_gain_to_split": [0.0, 15.0],
    "bagging_fraction": {"low": 0.2, "high": 0.95, "step": 0.05},
    "feature_fraction": {"low": 0.2, "high": 0.95, "step": 0.05},
}
"""The space that was searched for them."""

_TRIALS_AT_ONCE = 5
"""Trials of a search at the same time, as for those figures."""

ADVENTUREWORKS = (
    "AdventureWorks is public: MySQL server relational.fel.cvut.cz, user guest, database"
    " AdventureWorks2014 (-p url=mysql+pymysql://guest@relational.fel.cvut.cz/AdventureWorks2014"
    " and the published password in BATON_DATABASE_PASSWORD); offline, give a SQLite copy by"
    " -p url=FILE"
)


class Rule(StrEnum):
    """What churn is."""

    DOCUMENTED = "documented"
    AS_CODED = "as_coded"

    def states(self, days: int) -> str:
        """The rule in a sentence."""
        if self is Rule.DOCUMENTED:
            return (
                f"An order is churn when its customer makes no other within {days} days after it."
            )
        return (
            f"An order is churn unless its customer makes another more than {days} days after it,"
            " which is the rule as the original's code has it, not as it is documented."
        )


class Parted(StrEnum):
    """What stands on one side of the split as a whole."""

    CUSTOMER = "customer"
    RANDOM = "random"


def _known_primitives(names: tuple[str, ...]) -> tuple[str, ...]:
    chosen(names)
    return names


def _places(values: tuple[str, ...]) -> tuple[str, ...]:
    if not all(_is_place(value) for value in values):
        raise ValueError("table.column is wanted for each")
    return values


def _keys(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        sides = value.split("=")
        if len(sides) != 2 or not all(map(_is_place, sides)):
            raise ValueError("child.column=parent.column is wanted for each key")
    return values


def _is_place(text: str) -> bool:
    return [bool(part.strip()) for part in text.split(".")] == [True, True] and "=" not in text


Names = Annotated[tuple[str, ...], BeforeValidator(names_in)]
Optional = BeforeValidator(lambda value: None if value == "" else value)


class ChurnParams(Params):
    """Parameters of ``churn``."""

    url: Annotated[
        str,
        AfterValidator(checked_url),
        Field(
            validate_default=True,
            repr=False,
            description="SQLAlchemy URL without a password, or the path of a SQLite file",
        ),
    ] = "sqlite:///adventureworks.sqlite"
    secret: Annotated[
        str | None,
        Optional,
        Field(
            description="Prefect Secret block with the password; by default BATON_DATABASE_PASSWORD"
        ),
    ] = None
    db_schema: Annotated[
        str | None, Optional, Field(description="schema of the tables, if not the default one")
    ] = None
    orders: Annotated[str, Field(min_length=1, description="table of orders")] = "SalesOrderHeader"
    order_key: Annotated[str, Field(description="column of orders: its id")] = "SalesOrderID"
    order_time: Annotated[str, Field(description="column of orders: its date")] = "OrderDate"
    customer_key: Annotated[str, Field(description="column of orders: the customer's id")] = (
        "CustomerID"
    )
    relations: Annotated[
        Names,
        AfterValidator(_keys),
        Field(description="keys that are not declared: child.column=parent.column,…"),
    ] = ()
    times: Annotated[
        Names,
        AfterValidator(_places),
        Field(description="column that dates a table's rows, if not the latest: table.column,…"),
    ] = ()
    hops: Annotated[
        int, Field(ge=0, le=5, description="most keys between orders and a related table")
    ] = 2
    rule: Annotated[
        Rule, Field(description="documented: no order within days; as_coded: none later than days")
    ] = Rule.DOCUMENTED
    days: Annotated[int, Field(ge=1, le=36_500, description="days after an order")] = 180
    depth: Annotated[int, Field(ge=0, le=4, description="most primitives and keys stacked")] = 2
    primitives: Annotated[
        Names, AfterValidator(_known_primitives), Field(description="primitives of features: a,b")
    ] = (
        "count", "sum", "mean", "std", "min", "max", "skew", "num_unique", "mode", "percent_true",
        "time_since_first", "avg_time_between", "year", "month", "day", "weekday",
    )  # fmt: skip
    max_features: Annotated[int, Field(ge=1, description="features at most, simplest first")] = 300
    split: Annotated[
        Parted, Field(description="customer: all orders of one on the same side; or random")
    ] = Parted.CUSTOMER
    test_size: Annotated[float, Field(gt=0, lt=1, description="part held out")] = 0.2
    seed: Annotated[int, Field(ge=0, lt=2**32, description="seed of the split")] = 0

    @property
    def database(self) -> Database:
        """Where the tables are."""
        return Database(self.url, self.secret, self.db_schema)


class Churn(SourcedProblem[ChurnParams]):
    """Orders without another after them, from any database of orders."""

    name = "churn"
    summary = "orders of customers who do not come back, from the tables of a database"
    params = ChurnParams

    def fingerprint(self, params: ChurnParams) -> str | None:
        """SHA-256 of a SQLite file; whether a server's tables changed, only reading tells."""
        file = params.database.file
        if file is not None and not file.is_file():
            raise InputError(f"there is no database file {file}. {ADVENTUREWORKS}")
        try:
            self.sources(params)
        except OSError as error:
            raise ConnectionError(f"{error}. {ADVENTUREWORKS}") from None
        return digest_of_database(params.database)

    def sources(self, params: ChurnParams) -> tuple[str, ...]:
        """The declared keys, then the orders and the tables around them."""
        keys = params.database.keys()
        _require_columns(keys, params)
        known = set(keys["table"])
        return (KEYS, *(t for t in _related(keys, params).tables if t in known))

    def read(self, params: ChurnParams, source: str) -> pd.DataFrame:
        """One table as it stands in the database."""
        if source == KEYS:
            return params.database.keys()
        rows = params.database.read(source)
        if source == params.orders and rows.empty:
            raise InputError(f"table {source!r} of {params.url} is empty; there must be orders")
        return rows

    def join(self, params: ChurnParams, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
        """One row per order: ids, date, label, and the features as of its date."""
        return _joined(params, tables, only_unlabelled=False)

    def unseen(self, params: ChurnParams) -> pd.DataFrame:
        """Orders that are too late to have a label: with the features as of their date."""
        tables = {name: self.read(params, name) for name in self.sources(params)}
        return _joined(params, tables, only_unlabelled=True)

    def contract(self, params: ChurnParams) -> DataFrameSchema:
        """Orders once each, with a customer and a date; churn is 0, 1 or not known yet."""
        from pandera.pandas import Check, Column, DataFrameSchema

        return DataFrameSchema(
            {
                params.order_key: Column(unique=True),
                params.customer_key: Column(),
                params.order_time: Column("datetime64[us]"),
                TARGET: Column(float, Check.isin([0.0, 1.0]), nullable=True, required=False),
            }
        )

    def goal(self, raw: pd.DataFrame, params: ChurnParams) -> Goal:
        """Classify churn; the area under the curve decides, since the classes are uneven."""
        notes = _notes(raw, params)
        return Goal(
            Kind.CLASSIFICATION,
            TARGET,
            "roc_auc",
            notes,
            "lightgbm",
            dict(HYPERPARAMETERS),
            space=dict(SPACE),
            trials_at_once=_TRIALS_AT_ONCE,
        )

    def groups(self, features: pd.DataFrame, raw: pd.DataFrame, params: ChurnParams) -> pd.Series:
        """All orders of a customer belong together."""
        customers = raw[params.customer_key].take(features[ROW].to_numpy())
        return customers.set_axis(features.index)

    def schema(self, raw: pd.DataFrame, params: ChurnParams) -> dict[str, Any]:
        """Names of the features."""
        return {"features": _feature_names(raw, params)}

    def features(
        self, raw: pd.DataFrame, params: ChurnParams, *, with_target: bool = True
    ) -> pd.DataFrame:
        """Features of the labelled orders, or of all."""
        import numpy as np

        table: pd.DataFrame = raw[_feature_names(raw, params)].apply(_as_category_if_text)
        table.insert(0, ROW, np.arange(len(raw)))
        if not with_target:
            return table
        label = raw[TARGET].to_numpy()
        is_known = ~np.isnan(label)
        labelled: pd.DataFrame = table[is_known].reset_index(drop=True)
        labelled[TARGET] = label[is_known].astype("int64")
        return labelled

    def new_features(
        self, raw: pd.DataFrame, params: ChurnParams, schema: dict[str, Any]
    ) -> pd.DataFrame:
        """Features that the model knows; those that cannot be made of these rows are missing."""
        known: pd.DataFrame = self.features(raw, params, with_target=False)
        return known.reindex(columns=[ROW, *schema["features"]])

    def split(self, features: pd.DataFrame, raw: pd.DataFrame, params: ChurnParams) -> pd.Series:
        """By customer, so that none is on both sides; or at random, in equal proportions."""
        if params.split is Parted.CUSTOMER:
            return grouped(self.groups(features, raw, params), params.test_size, params.seed)
        return stratified(features[TARGET], params.test_size, params.seed)


def _require_columns(keys: pd.DataFrame, params: ChurnParams) -> None:
    """Check the names that were given against what the database has."""
    tables = list(keys["table"].unique())
    if params.orders not in tables:
        raise InputError(
            f"there is no table {params.orders!r} (parameter orders) in {params.url}; it has:"
            f" {listed(tables, 20, last=', ') or 'none'}"
        )
    for parameter in ("order_key", "order_time", "customer_key"):
        _require_column(keys, params.orders, getattr(params, parameter), parameter)
    sides = [side for pair in params.relations for side in pair.split("=")]
    for parameter, places in (("relations", sides), ("times", params.times)):
        for table, _, column in (place.strip().partition(".") for place in places):
            _require_column(keys, table, column, parameter)


def _require_column(keys: pd.DataFrame, table: str, column: str, parameter: str) -> None:
    known = columns(keys, table)
    if not known:
        raise InputError(f"parameter {parameter}: there is no table {table!r}")
    if column not in known:
        raise unknown_column(parameter, column, known, f"table {table}")


def _related(keys: pd.DataFrame, params: ChurnParams) -> Related:
    """Tables around the orders; customers of whom there is no table get one of their ids."""
    found = links(keys)
    for pair in params.relations:
        child, parent = (side.strip().split(".") for side in pair.split("="))
        found.append(Relationship(parent[0], parent[1], child[0], child[1]))
    known = set(keys["table"])  # a key may refer to a table that is not here
    found = [link for link in found if link.parent in known]
    if owner(found, params.orders, params.customer_key) is None:
        made = Relationship(
            _made_table(keys), params.customer_key, params.orders, params.customer_key
        )
        found.append(made)
    return related(list(dict.fromkeys(found)), params.orders, _owner(found, params), params.hops)


def _owner(found: list[Relationship], params: ChurnParams) -> str:
    link = owner(found, params.orders, params.customer_key)
    assert link is not None
    return link.parent


def _made_table(keys: pd.DataFrame) -> str:
    taken = set(keys["table"])
    return next(n for n in ("customers", "customers_of_orders", "_customers") if n not in taken)


def _joined(
    params: ChurnParams, tables: Mapping[str, pd.DataFrame], *, only_unlabelled: bool
) -> pd.DataFrame:
    import polars as pl

    from baton.relational.compute import compute
    from baton.relational.planner import plan

    assembly = _assembled(params, tables)
    entities = assembly.entities
    orders = entities.frames[params.orders]
    label = labels(orders, params)
    if not only_unlabelled:
        _require_label(label, params)
    features = plan(
        entities.schema, params.orders, params.primitives, params.depth, params.max_features
    )
    rows = pl.Series(range(len(orders)), dtype=pl.UInt32)
    if only_unlabelled:
        rows = rows.filter(label.is_null())
    values = compute(entities, features, rows, orders[params.order_time].gather(rows))
    ids = orders.select(params.order_key, params.customer_key, params.order_time)
    ids = ids if only_unlabelled else ids.with_columns(label)
    raw = pl.concat([ids[rows], values.select(_plain(values))], how="horizontal").to_pandas()
    raw.attrs["notes"] = [_on_features(len(features), entities), *assembly.notes]
    return raw


def _require_label(label: pl.Series, params: ChurnParams) -> None:
    if label.null_count() == len(label):
        raise InputError(
            f"no order lies more than {params.days} days before the last one, so that none has a"
            " label; lower days or wait"
        )


def _on_features(count: int, entities: EntitySet) -> str:
    timeless = [e.name for e in entities.schema.entities if e.time_index is None]
    said = f"{counted(count, 'feature')} of {counted(len(entities.frames), 'table')}"
    if not timeless:
        return f"{said}, as of each order's date."
    return (
        f"{said}, as of each order's date; without dates, and so taken as they stand today:"
        f" {listed(timeless, 20, last=', ')}."
    )


def _plain(values: pl.DataFrame) -> list[pl.Expr]:
    """Numbers and flags as floats, whatever is missing among them; text as it is."""
    import polars as pl

    return [
        pl.col(name) if kind == pl.String else pl.col(name).cast(pl.Float64)
        for name, kind in values.schema.items()
    ]


def _assembled(params: ChurnParams, tables: Mapping[str, pd.DataFrame]) -> Assembly:
    import polars as pl

    keys = tables[KEYS]
    around = _related(keys, params)
    frames = {name: pl.from_pandas(tables[name]) for name in around.tables if name in tables}
    orders = frames[params.orders]
    for made in set(around.tables) - set(frames):
        frames[made] = orders.select(params.customer_key).drop_nulls().unique(maintain_order=True)
    primary = {name: primary_key(keys, name) for name in around.tables}
    link = owner(list(around.links), params.orders, params.customer_key)
    assert link is not None
    primary |= {link.parent: link.parent_key, params.orders: params.order_key}
    target = Target(
        params.orders, params.order_key, params.order_time, link.parent, frozenset({TARGET})
    )
    frames[params.orders], lost = _dated(orders, params)
    found = assemble(frames, around, primary, target, dict(t.split(".") for t in params.times))
    return Assembly(found.entities, (*lost, *found.notes))


def _dated(orders: pl.DataFrame, params: ChurnParams) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Orders with a date and a customer, and a sentence on those without."""
    import polars as pl

    from baton.relational.columns import typed

    times = typed(orders.select(params.order_time))
    if not isinstance(times[params.order_time].dtype, pl.Datetime):
        raise InputError(
            f"{params.orders}.{params.order_time} is no date in every row (such as"
            f" {orders[params.order_time].drop_nulls().head(1).to_list()});"
            " name the column of the order's date by -p order_time=…"
        )
    dated = orders.with_columns(times)
    whole = dated.drop_nulls([params.order_key, params.customer_key, params.order_time])
    lost = len(dated) - len(whole)
    if whole.is_empty():
        raise InputError(f"no row of {params.orders} has an id, a customer and a date")
    said = f"{counted(lost, 'order')} without an id, a customer or a date left out."
    return whole, (said,) if lost else ()


def labels(orders: pl.DataFrame, params: ChurnParams) -> pl.Series:
    """Churn of every order: 0, 1, or missing where the days after it are not over.

    Parameters
    ----------
    orders : DataFrame of shape (n, k)
        In the order of their dates, then of their ids.
    params : ChurnParams
    """
    import polars as pl

    time = pl.col(params.order_time)
    span = pl.duration(days=params.days)
    own = time.shift(-1) if params.rule is Rule.DOCUMENTED else time.max()
    gap = own.over(params.customer_key) - time
    stays = gap <= span if params.rule is Rule.DOCUMENTED else gap > span
    churn = pl.when(time.max() - time > span).then(1.0 - stays.fill_null(value=False).cast(float))
    return orders.select(churn.alias(TARGET)).to_series()


def _feature_names(raw: pd.DataFrame, params: ChurnParams) -> list[str]:
    ids = {params.order_key, params.customer_key, params.order_time, TARGET}
    return [name for name in raw.columns if name not in ids]


def _as_category_if_text(values: pd.Series) -> pd.Series:
    return values if values.dtype.kind == "f" else values.astype("category")


def _notes(raw: pd.DataFrame, params: ChurnParams) -> tuple[str, ...]:
    churn = raw[TARGET].dropna()
    if churn.nunique() < 2:
        raise InputError(
            f"all {len(churn):,} labelled orders are {'churn' if churn.any() else 'no churn'};"
            " change days or rule"
        )
    customers = raw[params.customer_key].nunique()
    return (
        f"{counted(len(raw), 'order')} of {counted(customers, 'customer')};"
        f" {len(churn):,} lie more than {params.days} days before the last one and have a label.",
        f"{params.rule.states(params.days)} {churn.mean():.1%} are.",
        *raw.attrs.get("notes", ()),
    )


problem = Churn()
