"""The problem ``churn``: which orders are followed by no other of the same customer.

Orders, customers and whatever the database relates to them; the features come from
``baton.relational``, as of each order's date.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from baton.errors import InputError
from baton.problems.base import Goal
from baton.problems.related import (
    KEYS,
    Primitives,
    RelatedParams,
    RelatedProblem,
    Url,
    every_link,
    stated,
)
from baton.problems.splits import grouped, stratified
from baton.relational.account import NAME
from baton.relational.assembly import Target
from baton.relational.reflection import Related, owner, related
from baton.relational.rows import Rows, Wish, dated, gather
from baton.relational.schema import Relationship
from baton.terms import ROW, Kind
from baton.words.text import counted

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    from pandera.pandas import DataFrameSchema

TARGET = "churn"

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


class ChurnParams(RelatedParams):
    """Parameters of ``churn``."""

    url: Annotated[
        Url, Field(description="SQLAlchemy URL without a password, or the path of a SQLite file")
    ] = "sqlite:///adventureworks.sqlite"
    orders: Annotated[str, Field(min_length=1, description="table of orders")] = "SalesOrderHeader"
    order_key: Annotated[str, Field(description="column of orders: its id")] = "SalesOrderID"
    order_time: Annotated[str, Field(description="column of orders: its date")] = "OrderDate"
    customer_key: Annotated[str, Field(description="column of orders: the customer's id")] = (
        "CustomerID"
    )
    rule: Annotated[
        Rule, Field(description="documented: no order within days; as_coded: none later than days")
    ] = Rule.DOCUMENTED
    days: Annotated[int, Field(ge=1, le=36_500, description="days after an order")] = 180
    primitives: Primitives = (
        "count", "sum", "mean", "std", "min", "max", "skew", "num_unique", "mode", "percent_true",
        "time_since_first", "avg_time_between", "year", "month", "day", "weekday",
    )  # fmt: skip
    split: Annotated[
        Parted, Field(description="customer: all orders of one on the same side; or random")
    ] = Parted.CUSTOMER
    test_size: Annotated[float, Field(gt=0, lt=1, description="part held out")] = 0.2
    seed: Annotated[int, Field(ge=0, lt=2**32, description="seed of the split")] = 0


class Churn(RelatedProblem[ChurnParams]):
    """Orders without another after them, from any database of orders."""

    name = "churn"
    summary = "orders of customers who do not come back, from the tables of a database"
    params = ChurnParams
    wanted = "orders"
    hint = ADVENTUREWORKS

    def table(self, params: ChurnParams) -> tuple[str, str]:
        """The orders."""
        return params.orders, "orders"

    def names(self, params: ChurnParams) -> dict[str, str]:
        """An order's id, date and customer."""
        return {name: getattr(params, name) for name in ("order_key", "order_time", "customer_key")}

    def around(self, keys: pd.DataFrame, params: ChurnParams) -> Related:
        """Tables around the orders; customers of whom there is no table get one of their ids."""
        found = every_link(keys, params)
        link = owner(found, params.orders, params.customer_key)
        if link is None:
            key = params.customer_key
            link = Relationship(_made_table(keys), key, params.orders, key)
            found.append(link)
        return related(found, params.orders, {link.parent: 0}, params.hops)

    def joined(
        self, params: ChurnParams, tables: Mapping[str, pd.DataFrame], *, only_new: bool
    ) -> pd.DataFrame:
        """One row per order: ids, date, label unless it is too late for one, and the features."""
        return _joined(params, tables, only_unlabelled=only_new)

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

    def kind(self, params: ChurnParams) -> Kind:  # noqa: ARG002
        """Classes."""
        return Kind.CLASSIFICATION

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
        """Names of the features, and the tables that they are made from."""
        return {"features": _feature_names(raw, params), **stated(raw)}

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


def _made_table(keys: pd.DataFrame) -> str:
    taken = set(keys["table"])
    return next(n for n in ("customers", "customers_of_orders", "_customers") if n not in taken)


def _joined(
    params: ChurnParams, tables: Mapping[str, pd.DataFrame], *, only_unlabelled: bool
) -> pd.DataFrame:
    import polars as pl

    found, notes = _gathered(params, tables)
    orders = found.frame
    label = labels(orders, params)
    if not only_unlabelled:
        _require_label(label, params)
    rows = pl.Series(range(len(orders)), dtype=pl.UInt32)
    if only_unlabelled:
        rows = rows.filter(label.is_null())
    ids = orders.select(params.order_key, params.customer_key, params.order_time)
    ids = ids if only_unlabelled else ids.with_columns(label)
    raw = pl.concat([ids[rows], found.values(rows)], how="horizontal").to_pandas()
    raw.attrs |= {"notes": notes, NAME: found.relations.as_json()}
    return raw


def _require_label(label: pl.Series, params: ChurnParams) -> None:
    if label.null_count() == len(label):
        raise InputError(
            f"no order lies more than {params.days} days before the last one, so that none has a"
            " label; lower days or wait"
        )


def _gathered(params: ChurnParams, tables: Mapping[str, pd.DataFrame]) -> tuple[Rows, list[str]]:
    """Orders with a date and a customer and what is made of them, and sentences on that."""
    import polars as pl

    around = problem.around(tables[KEYS], params)
    frames = {name: pl.from_pandas(tables[name]) for name in around.tables if name in tables}
    for made in set(around.tables) - set(frames):
        ids = frames[params.orders].select(params.customer_key)
        frames[made] = ids.drop_nulls().unique(maintain_order=True)
    link = owner(list(around.links), params.orders, params.customer_key)
    assert link is not None
    frames[params.orders], lost = _whole(frames[params.orders], params)
    primary = {link.parent: link.parent_key, params.orders: params.order_key}
    found = gather(frames, tables[KEYS], primary, _wish(params, around, link.parent))
    said = f"{counted(lost, 'order')} without an id, a customer or a date left out."
    return found, [found.notes[0], *([said] if lost else []), *found.notes[1:]]


def _whole(orders: pl.DataFrame, params: ChurnParams) -> tuple[pl.DataFrame, int]:
    """Orders with an id, a date and a customer, and how many are without."""
    needed = [params.order_key, params.customer_key, params.order_time]
    place = f"{params.orders}.order_time"
    whole, lost = dated(orders, params.order_time, needed, "order's date", place)
    if whole.is_empty():
        raise InputError(f"no row of {params.orders} has an id, a customer and a date")
    return whole, lost


def _wish(params: ChurnParams, around: Related, customers: str) -> Wish:
    without = frozenset({(params.orders, TARGET)})
    target = Target(params.orders, params.order_time, frozenset({customers}), without)
    asked = (params.dates, params.primitives, params.depth, params.max_features)
    return Wish(target, around, *asked, noun="order")


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
