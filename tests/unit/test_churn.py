"""The problem churn on small shops: labels, features, splits, errors."""

import sqlite3
import time
from datetime import datetime, timedelta

import pandas as pd
import pyarrow as pa
import pytest

from baton import problems
from baton.errors import InputError
from baton.terms import ROW
from tests.shops import make_shop

CHURN = problems.get("churn")


@pytest.fixture
def shop(tmp_path):
    """Path of a small shop."""
    return make_shop(tmp_path / "shop.sqlite")


def parsed(path, **values):
    names = {
        "orders": "orders",
        "order_key": "id",
        "order_time": "ordered",
        "customer_key": "customer",
    }
    return problems.parse(CHURN, {"url": str(path), **names, **values})


def change(path, script):
    with sqlite3.connect(path) as connection:
        connection.executescript(script)


def days_of(tmp_path, orders, **values):
    """Churn by order id of a shop with nothing but (customer, day)."""
    path = tmp_path / "bare.sqlite"
    start = datetime(2024, 1, 1)
    with sqlite3.connect(path) as connection:
        connection.execute("create table orders (id integer, customer integer, ordered text)")
        connection.executemany(
            "insert into orders values (?, ?, ?)",
            [(i, who, str(start + timedelta(days=day))) for i, (who, day) in enumerate(orders)],
        )
    raw = CHURN.load(parsed(path, **values))
    return {row.id: None if pd.isna(row.churn) else int(row.churn) for row in raw.itertuples()}


ORDERS = [(1, 0), (1, 10), (2, 0), (2, 11), (3, 5), (3, 200), (4, 189), (4, 190), (5, 200)]


def test_documented_no_other_order_within_the_days(tmp_path):
    """The tenth day counts, the eleventh does not; the last days have no label."""
    found = days_of(tmp_path, ORDERS, days=10)
    assert found == {0: 0, 1: 1, 2: 1, 3: 1, 4: 1, 5: None, 6: 0, 7: None, 8: None}


def test_as_coded_only_an_order_after_the_days_counts(tmp_path):
    """Coming back early is churn."""
    found = days_of(tmp_path, ORDERS, days=10, rule="as_coded")
    assert found == {0: 1, 1: 1, 2: 0, 3: 1, 4: 0, 5: None, 6: 1, 7: None, 8: None}


def test_the_rows_to_predict_are_the_orders_without_a_label(shop):
    """With the very columns and values they have in the raw table."""
    params = parsed(shop)
    raw, unseen = CHURN.load(params), CHURN.unseen(params)
    late = raw[raw["churn"].isna()].drop(columns="churn").reset_index(drop=True)
    assert 0 < len(late) < len(raw)
    pd.testing.assert_frame_equal(unseen, late)


def test_new_rows_have_the_columns_that_the_model_knows(shop):
    """What cannot be made of them is missing, what it does not know is left out."""
    params = parsed(shop)
    raw, unseen = CHURN.load(params), CHURN.unseen(params)
    schema = CHURN.schema(raw, params)
    found = CHURN.new_features(unseen.drop(columns="total"), params, schema)
    assert list(found.columns) == [ROW, *schema["features"]]
    assert found["total"].isna().all()


def test_related_tables_are_found_by_their_keys(shop):
    """Lines and their products, customers, their calls; the undated table is told of."""
    params = parsed(shop)
    raw = CHURN.load(params)
    assert set(CHURN.sources(params)[1:]) == {
        "orders", "people", "lines", "calls", "visits", "products"
    }  # fmt: skip
    assert "SUM(lines.quantity)" in raw
    assert "MEAN(lines.products.price)" in raw
    assert "people.COUNT(orders)" in raw
    assert "people.COUNT(calls)" in raw
    assert not [name for name in raw if "visits" in name]
    notes = CHURN.goal(raw, params).notes
    assert any("visits has no date" in note for note in notes)
    assert any("1 row of orders names a customer that people does not have" in n for n in notes)


def test_a_history_counts_up_to_the_order(shop):
    """Calls by their own date; the orders of the customer by theirs, this one included."""
    params = parsed(shop)
    raw = CHURN.load(params).set_index("id")
    with sqlite3.connect(shop) as connection:
        orders = pd.read_sql("select * from orders", connection, index_col="id")
        calls = pd.read_sql("select * from calls", connection)
    for number, order in orders.iterrows():
        if order.customer == 99_999:
            assert pd.isna(raw.loc[number, "people.COUNT(calls)"])
            continue
        for table, column, time_of in ((calls, "calls", "called"), (orders, "orders", "ordered")):
            own = table[(table.customer == order.customer) & (table[time_of] <= order.ordered)]
            assert raw.loc[number, f"people.COUNT({column})"] == len(own)


def test_what_happens_later_changes_no_feature(shop):
    """Lines of later orders, later calls, later orders: all changed, all features the same."""
    params = parsed(shop, depth=3, max_features=1000)
    before = CHURN.load(params)
    cut = before["ordered"].sort_values().iloc[len(before) // 2]
    change(
        shop,
        f"""
        update lines set quantity = quantity * 7 where order_id in
            (select id from orders where ordered > '{cut}');
        delete from calls where called > '{cut}';
        update orders set total = -total, channel = 'web' where ordered > '{cut}';
        delete from orders where ordered > '{cut}' and id % 3 = 0;
        """,
    )
    after = CHURN.load(params)
    early = [frame[frame["ordered"] <= cut].drop(columns="churn") for frame in (before, after)]
    early[0].attrs, early[1].attrs = {}, {}
    assert len(early[0]) > 10
    pd.testing.assert_frame_equal(*early)


def test_no_customer_stands_on_both_sides(shop):
    """By default; at random they do."""
    for split, expected in (("customer", False), ("random", True)):
        params = parsed(shop, split=split)
        raw = CHURN.load(params)
        features = CHURN.features(raw, params)
        sides = CHURN.split(features, raw, params)
        customers = raw["customer"].iloc[features[ROW]].to_numpy()
        train, test = (set(customers[(sides == side).to_numpy()]) for side in ("train", "test"))
        assert bool(train & test) is expected


def test_ids_dates_and_the_label_are_no_features(shop):
    """Nor is a column that is called as the label is."""
    params = parsed(shop)
    raw = CHURN.load(params)
    features = CHURN.features(raw, params)
    assert not {"id", "customer", "ordered", "shipped"} & set(features.columns)
    assert set(features["churn"]) == {0, 1}
    assert len(features) == raw["churn"].notna().sum()


def test_the_notes_survive_parquet(shop):
    """What was found out while joining is said once the features are made of the stored table."""
    params = parsed(shop)
    raw = CHURN.load(params)
    stored = pa.Table.from_pandas(raw, preserve_index=False).to_pandas()
    assert CHURN.goal(stored, params).notes == CHURN.goal(raw, params).notes


def test_a_table_of_orders_alone_will_do(tmp_path):
    """No key is declared, no customers' table is there: they are made of the orders."""
    days_of(tmp_path, ORDERS, days=10)
    raw = CHURN.load(parsed(tmp_path / "bare.sqlite", days=10))
    assert "customers.COUNT(orders)" in raw


def test_keys_that_are_not_declared_can_be_given(shop):
    """As child.column=parent.column."""
    change(shop, "create table undeclared (no integer, grade real);")
    change(shop, "insert into undeclared select id, id * 2.0 from orders;")
    params = parsed(shop, relations="undeclared.no=orders.id")
    assert "SUM(undeclared.grade)" in CHURN.load(params)


def test_the_date_of_a_history_can_be_named(shop):
    """Instead of the latest of its dates."""
    latest = CHURN.load(parsed(shop))["people.COUNT(calls)"]
    change(shop, "alter table calls add column noted text;")
    change(shop, "update calls set noted = '2030-01-01';")
    assert CHURN.load(parsed(shop))["people.COUNT(calls)"].fillna(0).eq(0).all()
    named = CHURN.load(parsed(shop, times="calls.called"))["people.COUNT(calls)"]
    pd.testing.assert_series_equal(named, latest)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"orders": "order"}, r"no table 'order' \(parameter orders\).*orders"),
        ({"order_time": "date"}, "order_time 'date'"),
        ({"order_time": "channel"}, r"orders.channel is no date.*-p order_time="),
        ({"relations": "lines.nothing=orders.id"}, "relations 'nothing'"),
        ({"times": "calls.minutes"}, "times: calls.minutes is no column of dates"),
        ({"days": 20_000}, "no order lies more than 20000 days before the last"),
    ],
)
def test_names_and_values_that_do_not_fit_are_told(shop, values, said):
    """One line with the fact and the fix."""
    with pytest.raises(InputError, match=said) as told:
        params = parsed(shop, **values)
        CHURN.goal(CHURN.load(params), params)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"primitives": "count,avg"}, "parameter 'primitives'.*unknown primitive 'avg'"),
        ({"relations": "a=b"}, "child.column=parent.column is wanted"),
        ({"relations": "orders.c"}, "child.column=parent.column is wanted"),
        ({"relations": "a.b=c.d=e.f"}, "child.column=parent.column is wanted"),
        ({"times": "a.b=c.d"}, "table.column is wanted"),
        ({"rule": "mine"}, "parameter 'rule'"),
        ({"test_size": 1}, "parameter 'test_size'"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(shop, values, said):
    """Before anything is read."""
    with pytest.raises(InputError, match=said):
        parsed(shop, **values)


def test_an_empty_table_of_orders_is_told(shop):
    """There must be orders."""
    change(shop, "delete from orders;")
    with pytest.raises(InputError, match=r"table 'orders' .* is empty"):
        CHURN.load(parsed(shop))


def test_one_class_alone_is_told(shop):
    """With a day nobody comes back."""
    change(shop, "delete from orders where id % 40 != 0;")
    params = parsed(shop, days=1)
    with pytest.raises(InputError, match=r"all .* labelled orders are churn; change days or rule"):
        CHURN.goal(CHURN.load(params), params)


def test_a_missing_file_says_where_adventureworks_is(tmp_path):
    """Server, user, database, and what to do offline."""
    params = problems.parse(CHURN, {"url": str(tmp_path / "gone.sqlite")})
    wanted = "gone.sqlite.*relational.fel.cvut.cz, user guest.*AdventureWorks2014.*offline"
    with pytest.raises(InputError, match=wanted):
        CHURN.fingerprint(params)


def test_the_fingerprint_follows_the_file(shop):
    """And the cheap check finds a wrong name before a run starts."""
    params = parsed(shop)
    was = CHURN.fingerprint(params)
    change(shop, "update orders set total = total + 1;")
    assert CHURN.fingerprint(params) != was
    with pytest.raises(InputError, match="no table"):
        CHURN.fingerprint(parsed(shop, orders="order"))


def test_the_fingerprint_sees_what_stands_in_the_log_beside_the_file(shop):
    """SQLite's write-ahead log holds the changes until a checkpoint."""
    params = parsed(shop)
    connection = sqlite3.connect(shop)
    connection.execute("pragma journal_mode = wal")
    was = CHURN.fingerprint(params)
    connection.execute("update orders set total = total + 1")
    connection.commit()
    assert CHURN.fingerprint(params) != was
    connection.close()


def test_a_server_that_is_away_is_told_before_a_run_starts():
    """As something that may have passed when it is asked again."""
    params = problems.parse(CHURN, {"url": "postgresql://ann@127.0.0.1:9/shop"})
    with pytest.raises(ConnectionError, match="cannot be reached"):
        CHURN.fingerprint(params)


def test_ten_thousand_orders_take_seconds(tmp_path):
    """Nothing is done row by row."""
    path = make_shop(tmp_path / "big.sqlite", orders=10_000, customers=2_000)
    params = parsed(path)
    tables = {name: CHURN.read(params, name) for name in CHURN.sources(params)}
    started = time.perf_counter()
    assert len(CHURN.join(params, tables)) == 10_000
    assert time.perf_counter() - started < 10


def test_keys_to_tables_that_are_not_there_are_passed_over(shop):
    """The column that refers to them is an ordinary one."""
    change(shop, "alter table orders add column depot integer references depots (id);")
    raw = CHURN.load(parsed(shop))
    assert len(raw) > 10
    assert not [name for name in raw.columns if name.startswith("depots.")]


def test_what_a_log_beside_the_file_holds_is_counted_in(shop):
    """A database in use writes there first."""
    params = parsed(shop)
    before = CHURN.fingerprint(params)
    params.database.file.with_name(params.database.file.name + "-wal").write_bytes(b"")
    assert CHURN.fingerprint(params) == before


@pytest.mark.parametrize(
    "url",
    [
        "mssql+pyodbc:///?odbc_connect=DRIVER%3Dx%3BUID%3Dann%3BPWD%3Dhush",
        "ann:hush@host/shop",
    ],
)
def test_passwords_in_disguise_are_refused_and_not_repeated(url):
    """In a value of the query, or in what would else be a file's name."""
    with pytest.raises(InputError, match="it holds a password") as error:
        problems.parse(CHURN, {"url": url})
    assert "hush" not in str(error.value)


def test_orders_that_are_all_recent_can_be_predicted(shop):
    """None of them has a label, which is why they are asked for."""
    params = parsed(shop, days=36_000)
    assert len(CHURN.unseen(params)) > 10
    with pytest.raises(InputError, match="lower days"):
        CHURN.load(params)


def test_the_folds_keep_a_customer_together(shop):
    """As the split does."""
    params = parsed(shop)
    raw = CHURN.load(params)
    features = CHURN.features(raw, params)
    groups = CHURN.groups(features, raw, params)
    assert groups.tolist() == raw["customer"].iloc[features[ROW]].tolist()


@pytest.mark.parametrize("value", ["'2020-01-01 00:00:00'", "1577836800", "''"])
def test_a_date_that_is_none_is_said_in_one_line(shop, value):
    """SQLite keeps in a column of dates whatever it is given."""
    change(shop, f"alter table orders add column due date; update orders set due = {value};")
    with pytest.raises(InputError, match="not of its column's type"):
        CHURN.load(parsed(shop))


def test_the_published_space_is_searched():
    """Names, ranges and steps are those of the churn on AdventureWorks, whatever LightGBM's are."""
    from baton.models.space import Float, Int
    from baton.problems.churn import HYPERPARAMETERS, SPACE
    from baton.terms import Kind
    from baton.tuning import chosen_space

    assert chosen_space("lightgbm", Kind.CLASSIFICATION, SPACE, {}) == {
        "n_estimators": Int(20, 150),
        "learning_rate": Float(0.01, 0.2),
        "num_leaves": Int(20, 50, step=10),
        "max_depth": Int(6, 12),
        "min_data_in_leaf": Int(20, 50, step=5),
        "max_bin": Int(200, 300),
        "lambda_l1": Float(0, 10),
        "lambda_l2": Float(0, 10),
        "min_gain_to_split": Float(0, 15),
        "bagging_fraction": Float(0.2, 0.95, step=0.05),
        "feature_fraction": Float(0.2, 0.95, step=0.05),
    }
    assert not HYPERPARAMETERS["early_stopping"]
