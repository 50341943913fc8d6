"""The problem relational: any related tables, of a database or a folder, as of each row's time."""

import json
import sqlite3
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from pydantic import SecretStr
from sklearn.metrics import roc_auc_score

from baton import models, problems
from baton.checks.keys import broken_keys
from baton.checks.sides import Sides
from baton.errors import InputError
from baton.relational.account import relations_of
from baton.showing import plots
from baton.terms import ROW
from baton.warning import WarningKind
from tests import services
from tests.shops import copy_shop, make_shop

RELATIONAL = problems.get("relational")
START = datetime(2024, 1, 1)


@pytest.fixture
def shop(tmp_path):
    """Path of a small shop."""
    return make_shop(tmp_path / "shop.sqlite")


def parsed(url, **values):
    return problems.parse(RELATIONAL, {"url": str(url), **values})


def orders_of(path, **values):
    return parsed(path, **{"table": "orders", "target": "total", **values})


def change(path, script):
    with sqlite3.connect(path) as connection:
        connection.executescript(script)


def folder_of(tmp_path, tables):
    """Folder with a file for each table."""
    folder = tmp_path / "tables"
    folder.mkdir()
    for name, table in tables.items():
        if name.endswith(".parquet"):
            table.to_parquet(folder / name)
        else:
            table.to_csv(folder / f"{name}.csv", index=False)
    return folder


def held_out(params):
    """Area under the curve on the held-out rows, and the names of the features."""
    raw = RELATIONAL.load(params)
    goal = RELATIONAL.goal(raw, params)
    table = RELATIONAL.features(raw, params)
    split = RELATIONAL.split(table, raw, params)
    rows = table.drop(columns=ROW)
    train, test = rows[split == "train"], rows[split == "test"]
    recipe = models.Recipe(goal.target, goal.kind, params={"n_estimators": 60})
    model = models.fit(train, recipe)
    scores = model.predict_proba(test)[:, list(model.classes).index(1)]
    return roc_auc_score(test[goal.target], scores), set(rows)


def visits(late_share):
    """Patients' visits; whether each relapses is what the last measure before it says.

    Measures after a visit say it too, but nobody knows them by then; `late_share` of the visits
    have them only.
    """
    draw = np.random.default_rng(3)
    n = 1_200
    relapse = draw.integers(0, 2, n)
    day = draw.integers(100, 900, n)
    is_late = draw.random(n) < late_share
    seen = pd.DataFrame(
        {
            "visit_id": np.arange(n),
            "patient_id": np.arange(n) % 300,
            "seen": day,
            "relapse": relapse,
        }
    )
    seen["seen"] = [START + timedelta(days=int(d)) for d in seen["seen"]]
    offset = np.where(is_late, draw.integers(1, 9, n), -draw.integers(1, 9, n))
    measures = pd.DataFrame(
        {
            "measure_id": np.arange(n),
            "visit_id": np.arange(n),
            "taken": [START + timedelta(days=int(d)) for d in day + offset],
            "level": relapse * 2.0 + draw.normal(0, 0.3, n),
        }
    )
    patients = pd.DataFrame({"patient_id": np.arange(300), "born": draw.integers(1930, 2000, 300)})
    return {"visits": seen, "measures": measures, "patients": patients}


def test_an_answer_in_a_child_table_is_found_as_of_the_time(tmp_path):
    """The measure before the visit tells; without the table there is nothing to learn."""
    folder = folder_of(tmp_path, visits(late_share=0.0))
    asked = {"table": "visits", "target": "relapse", "time": "seen"}
    found, names = held_out(parsed(folder, **asked))
    assert found > 0.98
    assert [name for name in names if "measures.level" in name]
    without, names = held_out(parsed(folder, **asked, drop="measures"))
    assert without < 0.6
    assert not [name for name in names if "measures" in name]


def test_an_answer_that_comes_later_does_not_help(tmp_path):
    """Rows after the visit are not used, where it has a time; without one they are, as is said."""
    folder = folder_of(tmp_path, visits(late_share=1.0))
    asked = {"table": "visits", "target": "relapse"}
    assert held_out(parsed(folder, **asked, time="seen"))[0] < 0.6
    params = parsed(folder, **asked)
    assert held_out(params)[0] > 0.98
    notes = RELATIONAL.goal(RELATIONAL.load(params), params).notes
    assert any("all as they stand today" in note for note in notes)


def test_keys_of_files_are_guessed_by_names_and_values(tmp_path):
    """And said; a column that only sounds like a key is none."""
    tables = visits(late_share=0.0)
    tables["patients"]["visit_id"] = -7
    params = parsed(folder_of(tmp_path, tables), table="visits", target="relapse")
    raw = RELATIONAL.load(params)
    said = next(n for n in RELATIONAL.goal(raw, params).notes if "no key is declared" in n)
    assert "measures.visit_id = visits.visit_id" in said
    assert "visits.patient_id = patients.patient_id" in said
    assert "patients.visit_id" not in said
    assert {key.is_guessed for key in relations_of(RELATIONAL.schema(raw, params)).keys} == {True}


def test_keys_that_are_given_are_the_only_ones(tmp_path):
    """Nothing is guessed beside them."""
    tables = visits(late_share=0.0)
    tables["measures"] = tables["measures"].rename(columns={"visit_id": "of"})
    folder = folder_of(tmp_path, tables)
    relations = "measures.of=visits.visit_id"
    params = parsed(folder, table="visits", target="relapse", relations=relations)
    raw = RELATIONAL.load(params)
    assert [name for name in raw if "measures.level" in name]
    assert not [name for name in raw if "patients" in name]


def test_a_folder_is_read_as_its_files_are_written(tmp_path):
    """Parquet beside CSV, dates as people write them; a changed file is another source."""
    people = pd.DataFrame({"id": range(40), "town": ["Ulm", "Brno"] * 20})
    sales = pd.DataFrame(
        {
            "id": range(200),
            "person": [n % 40 for n in range(200)],
            "day": [f"{1 + n % 28:02}.{1 + n % 12:02}.2024" for n in range(200)],
            "amount": [float(n % 7) for n in range(200)],
        }
    )
    folder = folder_of(tmp_path, {"people.parquet": people, "sales": sales})
    (folder / "README.md").write_text("no table")
    params = parsed(folder, table="sales", target="amount", time="day")
    raw = RELATIONAL.load(params)
    assert raw["day"].dtype.kind == "M"
    assert set(raw["people.town"]) == {"Ulm", "Brno"}
    was = RELATIONAL.fingerprint(params)
    sales.assign(amount=1.5).to_csv(folder / "sales.csv", index=False)
    assert RELATIONAL.fingerprint(params) != was


def test_without_a_time_the_target_is_summed_up_nowhere(shop):
    """Neither through the customer nor through a lookup; with one, that of earlier orders is."""
    params = orders_of(shop, depth=3, max_features=5_000)
    assert not [name for name in RELATIONAL.load(params) if "total" in name and name != "total"]
    raw = RELATIONAL.load(orders_of(shop, time="ordered")).set_index("id")
    with sqlite3.connect(shop) as connection:
        orders = pd.read_sql("select * from orders", connection, index_col="id")
    checked = 0
    for number, order in orders[orders["customer"] != 99_999].iterrows():
        before = orders[(orders.customer == order.customer) & (orders.ordered < order.ordered)]
        assert raw.loc[number, "people.SUM(orders.total)"] == pytest.approx(before.total.sum())
        checked += before.total.sum() > 0
    assert checked > 30


def test_a_target_that_comes_to_be_known_late_is_seen_late(shop):
    """By `delay` days."""
    raw = RELATIONAL.load(orders_of(shop, time="ordered", delay=100)).set_index("id")
    with sqlite3.connect(shop) as connection:
        orders = pd.read_sql("select * from orders", connection, index_col="id")
    days = pd.to_datetime(orders.ordered)
    for number, order in orders[orders["customer"] != 99_999].iterrows():
        known = days + timedelta(days=100) < days[number]
        before = orders[(orders.customer == order.customer) & known]
        assert raw.loc[number, "people.SUM(orders.total)"] == pytest.approx(before.total.sum())


def test_what_happens_later_changes_no_feature(shop):
    """In related tables, among the row's own later dates and the targets of later rows."""
    params = orders_of(shop, time="ordered", depth=3, max_features=1_000)
    before = RELATIONAL.load(params)
    cut = before["ordered"].sort_values().iloc[len(before) // 2]
    change(
        shop,
        f"""
        update lines set quantity = quantity * 7 where order_id in
            (select id from orders where ordered > '{cut}');
        delete from calls where called > '{cut}';
        update orders set shipped = '2031-01-01 00:00:00' where shipped > ordered;
        update orders set total = -total where ordered > '{cut}';
        """,
    )
    after = RELATIONAL.load(params)
    shared = [name for name in before if name in after]  # what says nothing is left out
    assert len(shared) > 50
    early = [frame.loc[frame["ordered"] <= cut, shared] for frame in (before, after)]
    early[0].attrs, early[1].attrs = {}, {}
    pd.testing.assert_frame_equal(*early)


def test_a_key_that_is_the_target_is_not_followed(shop):
    """What it leads to would give it away."""
    raw = RELATIONAL.load(orders_of(shop, target="customer"))
    assert not [name for name in raw if "people" in name]


def test_texts_and_many_levels_of_related_tables_are_features(tmp_path):
    """A parent's are looked up; of children texts are put together and levels counted."""
    draw = np.random.default_rng(0)
    words = ["leaking", "broken", "quiet", "shiny", "old", "new", "pump", "valve", "pipe"]
    n = 400
    machines = pd.DataFrame(
        {"id": range(n), "remark": [" ".join(draw.choice(words, 6)) for _ in range(n)]}
    )
    machines["cost"] = machines["remark"].str.count("leaking") * 10.0
    notes = pd.DataFrame(
        {
            "machine_id": np.arange(2 * n) % n,
            "note": [" ".join([*draw.choice(words, 5), str(k)]) for k in range(2 * n)],
            "colour": draw.choice(["red", "tan"], 2 * n),
        }
    )
    jobs = pd.DataFrame({"machine_id": range(n), "price": machines["cost"] + draw.normal(0, 1, n)})
    folder = folder_of(
        tmp_path, {"machines": machines.drop(columns="cost"), "notes": notes, "jobs": jobs}
    )
    params = parsed(folder, table="jobs", target="price", max_features=1_000)
    raw = RELATIONAL.load(params)
    roles = {c["name"]: c["role"] for c in RELATIONAL.schema(raw, params)["columns"]}
    assert roles["machines.remark"] == "text"
    assert roles["machines.TEXTS(notes.note)"] == "text"
    row = raw.iloc[3]
    own = notes[notes.machine_id == 3]
    assert row["machines.TEXTS(notes.note)"] == " ".join(own.note)
    assert row["machines.PERCENT_TRUE(notes.colour = red)"] == (own.colour == "red").mean()


def test_rows_without_a_target_are_those_to_predict(shop):
    """With the columns that the model knows, and the id that names them."""
    params = orders_of(shop, time="ordered")
    raw, unseen = RELATIONAL.load(params), RELATIONAL.unseen(params)
    assert 0 < len(unseen) == raw["total"].isna().sum()
    assert set(unseen["id"]) == set(raw.loc[raw["total"].isna(), "id"])
    schema = json.loads(json.dumps(RELATIONAL.schema(raw, params)))
    known = RELATIONAL.features(raw, params).columns.drop("total")
    found = RELATIONAL.new_features(unseen.drop(columns="channel"), params, schema)
    assert list(found.columns) == list(known)
    assert found["channel"].isna().all()
    assert "id" not in known


def test_rows_are_held_out_by_time_and_group(shop):
    """As `table` does."""
    params = orders_of(shop, time="ordered", group="customer")
    raw = RELATIONAL.load(params)
    table = RELATIONAL.features(raw, params)
    split = RELATIONAL.split(table, raw, params)
    rows = raw.iloc[table[ROW]].reset_index(drop=True)
    train, test = rows[split == "train"], rows[split == "test"]
    assert train["ordered"].max() < test["ordered"].min()
    assert not set(train["customer"]) & set(test["customer"])
    assert "customer" not in table


def test_broken_keys_are_counted_drawn_and_warned_of(shop):
    """A line for each key, with an example and what to do."""
    params = orders_of(shop)
    raw = RELATIONAL.load(params)
    schema = json.loads(json.dumps(RELATIONAL.schema(raw, params)))
    table = RELATIONAL.features(raw, params)
    table["_split"] = RELATIONAL.split(table, raw, params)
    kind = RELATIONAL.goal(raw, params).kind
    relations = relations_of(schema)
    sides = Sides.of(table, "total", kind, relations=relations)
    (warned,) = broken_keys(sides)
    assert warned.kind is WarningKind.KEYS
    assert warned.columns == ("orders.customer",)
    assert "1 row (< 1 %) of orders names a customer that people does not have" in warned.message
    assert "'99999'" in warned.message
    picture = plots.schema(relations)
    assert plots.png(picture.figure).startswith(b"\x89PNG")
    assert "orders (120 rows)" in picture.alt
    assert "orange" in picture.caption
    assert not broken_keys(Sides.of(table, "total", kind))


def test_a_round_of_keys_and_a_table_that_refers_to_itself_are_told(tmp_path):
    """They are not followed, and everything else is."""
    path = tmp_path / "firm.sqlite"
    with sqlite3.connect(path) as connection:
        connection.executescript("""
            create table teams (id integer primary key, size integer,
                                lead integer references staff (id));
            create table staff (id integer primary key, team integer references teams (id),
                                boss integer references staff (id), pay real);
            create table badges (a integer, b integer, primary key (a, b));
            create table doors (staff integer references staff (id), a integer, b integer,
                                foreign key (a, b) references badges (a, b));
        """)
        connection.executemany(
            "insert into staff values (?, ?, ?, ?)",
            [(i, i % 9, i // 2, 10.0 + i % 9) for i in range(90)],
        )
        connection.executemany("insert into teams values (?, ?, ?)", [(i, i, i) for i in range(9)])
        connection.executemany(
            "insert into doors values (?, 1, 2)", [(i % 90,) for i in range(200)]
        )
    params = parsed(path, table="staff", target="pay")
    raw = RELATIONAL.load(params)
    assert {"teams.size", "COUNT(doors)"} <= set(raw)
    notes = " ".join(RELATIONAL.goal(raw, params).notes)
    assert "staff.boss = staff.id refers to its own table: it is not followed" in notes
    assert "teams.lead = staff.id leads back: it is not followed" in notes
    doors = parsed(path, table="doors", target="b")
    assert any("of several columns" in n for n in RELATIONAL.load(doors).attrs["notes"])


def test_a_way_with_too_many_rows_below_is_left_out_and_said(shop, monkeypatch):
    """A lookup with half of all rows below each of its own takes long and says little."""
    from baton.relational import assembly

    monkeypatch.setattr(assembly, "MOST_CHILDREN", 100)
    raw = RELATIONAL.load(orders_of(shop, time="ordered"))
    assert "people.COUNT(orders)" not in raw
    assert "COUNT(lines)" in raw
    assert any("orders.customer = people.id" in n and "summed up" in n for n in raw.attrs["notes"])


def test_what_is_dropped_makes_no_feature(shop):
    """A column, a feature by its name, a table, a table's column."""
    drop = "shipped,people.COUNT(calls),visits,lines.quantity"
    raw = RELATIONAL.load(orders_of(shop, drop=drop))
    params = orders_of(shop, drop=drop)
    names = set(RELATIONAL.features(raw, params))
    assert "people.SUM(calls.minutes)" in names
    assert not {"shipped", "people.COUNT(calls)"} & names
    assert not [name for name in names if "visits" in name or "quantity" in name]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"table": "order"}, r"no table 'order' \(parameter table\).*did you mean 'orders'\?"),
        (
            {"target": "totl"},
            r"target 'totl' is not a column of table orders: did you mean 'total'",
        ),
        ({"target": "id"}, "target 'id' is the key of orders"),
        ({"time": "orderd"}, r"time 'orderd' is not a column.*did you mean 'ordered'"),
        ({"time": "channel"}, r"orders.channel is no date.*-p time="),
        ({"time": "total"}, "time 'total' is the target"),
        ({"group": "custmer"}, r"group 'custmer' .*did you mean 'customer'"),
        ({"time": "ordered", "group": "ordered"}, "time and group are both"),
        ({"drop": "total"}, "target 'total' is in drop"),
        ({"drop": "chanel"}, r"drop 'chanel' .*did you mean 'channel'"),
        (
            {"drop": "people.COUNT(orders),people.COUNTS(calls)"},
            r"drop 'people.COUNTS\(calls\)' is not",
        ),
        ({"relations": "lines.nothing=orders.id"}, "relations 'nothing'"),
        ({"relations": "lies.order_id=orders.id"}, "no table 'lies'; did you mean 'lines'"),
        ({"times": "calls.minutes", "time": "ordered"}, "calls.minutes is no column of dates"),
    ],
)
def test_names_that_do_not_fit_are_told(shop, values, said):
    """One line with the fact and the fix."""
    with pytest.raises(InputError, match=said) as told:
        params = orders_of(shop, **values)
        RELATIONAL.fingerprint(params)
        RELATIONAL.load(params)
    assert "\n" not in str(told.value)


def test_places_that_hold_no_tables_are_told(tmp_path):
    """An empty folder, one file of many, a database that is not there, two files of one name."""
    with pytest.raises(InputError, match="holds no table"):
        RELATIONAL.fingerprint(orders_of(tmp_path))
    with pytest.raises(InputError, match="give the folder"):
        orders_of(tmp_path / "orders.csv")
    with pytest.raises(InputError, match="there is no database file"):
        RELATIONAL.fingerprint(orders_of(tmp_path / "gone.sqlite"))
    for name in ("orders.csv", "orders.tsv"):
        (tmp_path / name).write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="are both the table 'orders'"):
        RELATIONAL.fingerprint(orders_of(tmp_path))


def test_the_model_is_called_by_database_table_and_target(shop):
    """Unless it is given a name."""
    assert RELATIONAL.model_name(orders_of(shop)) == "shop-orders-total"
    assert RELATIONAL.model_name(orders_of("postgresql://ann@host/firm")) == "firm-orders-total"
    assert RELATIONAL.model_name(orders_of(shop, name="mine")) == "mine"


@pytest.mark.parametrize("server", [services.postgresql, services.mysql])
def test_a_server_says_the_same_as_a_file(shop, answering, server, monkeypatch):
    """The same features of the same rows, whatever types the server has."""
    relations = "orders.customer=people.id"
    with answering(server()) as url:
        copy_shop(shop, url)
        monkeypatch.setattr(
            "baton.sources.secrets.reveal", lambda _name: SecretStr(url.password or "")
        )
        plain = url._replace(password=None, drivername=url.get_backend_name())
        asked = {"time": "ordered", "drop": "visits"}
        theirs = RELATIONAL.load(orders_of(plain.render_as_string(), relations=relations, **asked))
        ours = RELATIONAL.load(orders_of(shop, **asked))
    assert set(ours) == set(theirs)
    names = [name for name in ours if ours[name].dtype.kind == "f"]
    assert len(names) > 30
    pd.testing.assert_frame_equal(
        ours.sort_values("id")[names].reset_index(drop=True),
        theirs.sort_values("id")[names].reset_index(drop=True).astype(float),
    )


def test_the_orders_of_adventureworks(shared):
    """Tables and keys of a real database; what an order comes to is what its lines come to."""
    url = shared("adventureworks") / "adventureworks.sqlite"
    params = parsed(url, table="SalesOrderHeader", target="SubTotal", time="OrderDate", depth=1)
    raw = RELATIONAL.load(params)
    assert len(raw) == 31_465
    lines = raw["SUM(SalesOrderDetail.LineTotal)"]
    assert np.corrcoef(lines, raw["SubTotal"])[0, 1] > 0.9999
    found = relations_of(RELATIONAL.schema(raw, params))
    assert found.rows["SalesOrderDetail"] == 121_317
    assert not [key for key in found.keys if key.n_broken]
