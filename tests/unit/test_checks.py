"""Warnings of a data set: what is planted is named, and clean tables are silent."""

import numpy as np
import pandas as pd
import pytest

from baton import problems
from baton.checks import Sides, inspect
from baton.checks.columns import columns
from baton.checks.dates import dates
from baton.checks.duplicates import duplicates
from baton.checks.groups import repeated_keys
from baton.checks.imbalance import imbalance
from baton.checks.labels import doubtful, wrong_labels
from baton.checks.leak import leaks
from baton.checks.shift import shifts
from baton.checks.suspect import suspects
from baton.terms import ROW, SPLIT, TIME, Kind
from baton.warning import DataWarning, WarningKind, as_table, of_table, sorted_warnings

N = 1_200
RANDOM = np.random.default_rng(0)
CLASSES = np.array(["low", "middle", "high", "top"])


def clean(kind, n=N, seed=0):
    """Three columns that tell much of the target, and noise; a category that tells a little."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, 4))
    signal = x[:, 0] + 0.7 * x[:, 1] ** 2 - x[:, 2] + 0.3 * random.normal(size=n)
    table = pd.DataFrame(x, columns=list("abcd"))
    table["e"] = pd.Categorical(random.choice(["u", "v", "w"], n))
    quarters = np.digitize(signal, np.quantile(signal, [0.25, 0.5, 0.75]))
    target = CLASSES[quarters] if kind is Kind.CLASSIFICATION else 10 + 3 * signal
    return table.assign(y=target)


def sides(table, kind, *, is_test=None, **more):
    """Sides of a table whose target is `y`, every fourth row held out."""
    n = len(table)
    held = np.arange(n) % 4 == 0 if is_test is None else is_test
    hidden = {ROW: np.arange(n), SPLIT: np.where(held, "test", "train")}
    return Sides.of(table.assign(**hidden), "y", kind, parameters={"drop"}, **more)


def mixed(values, to):
    """Code every value by a number, in no order."""
    codes = dict(zip(pd.unique(values), to, strict=False))
    return np.array([codes[value] for value in values])


def finer(values):
    """Category of three levels for each class."""
    part = RANDOM.integers(0, 3, len(values)).astype(str)
    return pd.Categorical([f"{v}-{p}" for v, p in zip(values, part, strict=True)])


COUNTS = RANDOM.integers(0, 300, N).astype(float)
WEIGHTS = RANDOM.lognormal(1, 1, N)

OF_CLASSES = {
    "a copy": (lambda t: t.assign(leak=pd.Categorical(t.y)), {"leak"}),
    "a relabelled copy": (lambda t: t.assign(leak=mixed(t.y, [7, 3, 9, 1])), {"leak"}),
    "a finer category": (lambda t: t.assign(leak=finer(t.y)), {"leak"}),
    "a coarser category": (lambda t: t.assign(leak=t.y.isin(["low", "top"])), {"leak"}),
    "a number that has a range for each class": (
        lambda t: t.assign(leak=mixed(t.y, [30, 10, 20, 40]) + 9 * RANDOM.random(N)),
        {"leak"},
    ),
    "two columns that are it together": (
        lambda t: t.assign(
            one=RANDOM.integers(0, 2, N),
            two=lambda t: (mixed(t.y, [0, 1, 2, 3]) + 2 * t.one) % 4,
        ),
        {"one", "two"},
    ),
}

OF_TWO = {
    "missing exactly when": (
        lambda t: t.assign(leak=np.where(t.y == "yes", RANDOM.normal(size=N), np.nan)),
        {"leak"},
    ),
    "a date after the fact": (
        lambda t: t.assign(leak=pd.Series(pd.Timestamp("2024-01-01"), t.index).where(t.y == "no")),
        {"leak"},
    ),
    "a number above a threshold": (
        lambda t: t.assign(leak=np.where(t.y == "yes", 100, 0) + 99 * RANDOM.random(N)),
        {"leak"},
    ),
}

OF_NUMBERS = {
    "a copy": (lambda t: t.assign(leak=t.y), {"leak"}),
    "another unit, rounded": (lambda t: t.assign(leak=(32 + 1.8 * t.y).round(1)), {"leak"}),
    "a logarithm": (lambda t: t.assign(leak=np.log(t.y - t.y.min() + 1)), {"leak"}),
    "a decreasing function": (lambda t: t.assign(leak=-np.cbrt(t.y)), {"leak"}),
    "a sum": (lambda t: t.assign(one=COUNTS, two=t.y - COUNTS), {"one", "two"}),
    "a difference": (lambda t: t.assign(one=COUNTS + t.y, two=COUNTS), {"one", "two"}),
    "a weighted sum of three": (
        lambda t: t.assign(one=COUNTS, two=WEIGHTS, three=(t.y - 2 * COUNTS + WEIGHTS) / 5),
        {"one", "two", "three"},
    ),
    "a product": (
        lambda t: t.assign(y=np.exp(t.y / 9), one=WEIGHTS, two=lambda t: t.y / WEIGHTS),
        {"one", "two"},
    ),
    "a ratio": (
        lambda t: t.assign(y=np.exp(t.y / 9), one=lambda t: t.y * WEIGHTS, two=WEIGHTS),
        {"one", "two"},
    ),
    "a sum, and one of few fees": (
        lambda t: t.assign(
            one=COUNTS.round(2),
            two=WEIGHTS.round(2),
            y=COUNTS.round(2) + WEIGHTS.round(2) + RANDOM.choice([0.5, 3.3, 8.0], N),
        ),
        {"one", "two"},
    ),
    "a band of it": (lambda t: t.assign(leak=pd.cut(t.y, 4, labels=list("pqrs"))), {"leak"}),
}


def named(found):
    """Columns of the warnings, each with a way to leave it out."""
    assert all("drop=" in one.message for one in found)
    return {name for one in found for name in one.columns}


@pytest.mark.parametrize("case", OF_CLASSES)
def test_a_leak_of_classes_is_named(case):
    """Whatever it looks like, and nothing beside it."""
    plant, wanted = OF_CLASSES[case]
    assert named(leaks(sides(plant(clean(Kind.CLASSIFICATION)), Kind.CLASSIFICATION))) == wanted


@pytest.mark.parametrize("case", OF_TWO)
def test_a_leak_of_two_classes_is_named(case):
    """Columns that are filled in afterwards among them."""
    plant, wanted = OF_TWO[case]
    table = clean(Kind.CLASSIFICATION)
    table = table.assign(y=np.where(table.y.isin(["high", "top"]), "yes", "no"))
    assert named(leaks(sides(plant(table), Kind.CLASSIFICATION))) == wanted


@pytest.mark.parametrize("case", OF_NUMBERS)
def test_a_leak_of_numbers_is_named(case):
    """One column, or all that make the number up."""
    plant, wanted = OF_NUMBERS[case]
    assert named(leaks(sides(plant(clean(Kind.REGRESSION)), Kind.REGRESSION))) == wanted


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("seed", range(5))
def test_a_clean_table_is_silent(kind, seed):
    """No kind of warning, though the columns tell most of the target."""
    assert inspect(sides(clean(kind, seed=seed), kind, seed=seed)) == []


@pytest.mark.parametrize("kind", Kind)
def test_noise_is_silent(kind):
    """A target that no column tells of is no reason to warn of the data."""
    table = clean(kind)
    table["y"] = np.random.default_rng(1).permutation(table.y)
    assert inspect(sides(table, kind)) == []


@pytest.mark.parametrize("strength", [0.05, 0.15])
def test_a_strong_column_is_no_leak(strength):
    """Noise of a twentieth of the target is noise; it is suspect."""
    table = clean(Kind.REGRESSION)
    table["near"] = table.y + strength * table.y.std() * np.random.default_rng(2).normal(size=N)
    found = sides(table, Kind.REGRESSION)
    assert leaks(found) == []
    assert named(suspects(found)) == {"near"}


def test_a_column_that_carries_the_table_is_suspect():
    """It alone tells much, and the others little without it; none of the clean ones does."""
    table = clean(Kind.CLASSIFICATION)
    table["after"] = mixed(table.y, [0, 1, 2, 3]) + np.random.default_rng(3).normal(0, 0.4, N)
    few = table[["after", "d", "e", "y"]].assign(
        **{name: np.random.default_rng(4).normal(size=N) for name in ("f", "g")}
    )
    assert named(suspects(sides(few, Kind.CLASSIFICATION))) == {"after"}
    assert suspects(sides(few[["after", "d", "y"]], Kind.CLASSIFICATION)) == []
    assert suspects(sides(few, Kind.CLASSIFICATION), {"after"}) == []


def test_rows_on_both_sides_are_counted():
    """60 of the 300 held-out rows are training rows too; their target must be the same."""
    table = clean(Kind.REGRESSION)
    held = np.flatnonzero(np.arange(N) % 4 == 0)[:60]
    table.loc[held] = table.loc[held + 1].to_numpy()
    table = table.astype({**dict.fromkeys("abcdy", float), "e": "category"})
    (found,) = duplicates(sides(table, Kind.REGRESSION))
    assert found.message.startswith("60 held-out rows (20 %)")
    other = table.assign(y=np.random.default_rng(4).normal(size=N))
    assert duplicates(sides(other, Kind.REGRESSION)) == []


def test_rows_that_are_equal_by_chance_are_no_duplicates():
    """Two columns of few values are equal in most rows, and that is no mistake."""
    random = np.random.default_rng(5)
    table = pd.DataFrame(random.integers(0, 4, (N, 2)), columns=list("ab"))
    table["y"] = random.choice(["no", "yes"], N)
    assert duplicates(sides(table, Kind.CLASSIFICATION)) == []


def test_a_date_beside_a_random_split_is_named():
    """Not where later rows are held out, and not a date of birth."""
    table = clean(Kind.REGRESSION).assign(sold=pd.date_range("2024-01-01", periods=N, freq="h"))
    (found,) = dates(sides(table, Kind.REGRESSION))
    assert (found.kind, found.columns) == (WarningKind.TIME, ("sold",))
    later = np.arange(N) >= 900
    assert dates(sides(table, Kind.REGRESSION, is_test=later)) == []
    assert dates(sides(table.rename(columns={"sold": "birth_date"}), Kind.REGRESSION)) == []


def test_year_and_month_are_a_date():
    """In columns of their own; a year alone may be one of make."""
    days = pd.date_range("2020-01-01", periods=N, freq="D")
    table = clean(Kind.REGRESSION).assign(year=days.year, mnth=days.month)
    assert [one.columns for one in dates(sides(table, Kind.REGRESSION))] == [("year", "mnth")]
    assert dates(sides(table.drop(columns="mnth"), Kind.REGRESSION)) == []


@pytest.mark.parametrize("kind", Kind)
def test_a_key_that_repeats_is_named(kind):
    """Only where its rows are alike, and stand on both sides."""
    table = clean(kind)
    keys = np.random.default_rng(6).permutation(np.repeat(np.arange(200), 6))
    of_key = np.random.default_rng(7).normal(size=200)[keys]
    alike = 10 + of_key + 0.3 * np.random.default_rng(8).normal(size=N)
    y = alike if kind is Kind.REGRESSION else CLASSES[np.digitize(alike, [9, 10, 11])]
    assert repeated_keys(sides(table.assign(patient_id=keys), kind)) == []
    (found,) = repeated_keys(sides(table.assign(patient_id=keys, y=y), kind))
    assert found.columns == ("patient_id",)
    parted = sides(table.assign(patient_id=keys, y=y), kind, is_test=keys < 50)
    assert repeated_keys(parted) == []


def test_a_key_that_was_left_out_of_the_features_is_named_too():
    """The raw table has it."""
    keys = np.random.default_rng(6).permutation(np.repeat(np.arange(200), 6))
    table = clean(Kind.REGRESSION).assign(y=np.random.default_rng(7).normal(size=200)[keys])
    raw = pd.DataFrame({"customer": [f"c{key}" for key in keys]})
    found = sides(table, Kind.REGRESSION, raw=raw, left_out={"customer": "text"})
    assert [one.columns for one in repeated_keys(found)] == [("customer",)]


@pytest.mark.parametrize(
    ("n_positive", "is_few"), [(20, True), (59, True), (61, False), (600, False)]
)
def test_few_positives_are_counted(n_positive, is_few):
    """Below one in twenty."""
    table = clean(Kind.REGRESSION).assign(y=np.arange(N) % 1200 < n_positive)
    found = imbalance(sides(table, Kind.CLASSIFICATION))
    assert bool(found) == is_few
    if is_few:
        assert f"({n_positive} rows, {-(-n_positive // 4)} of them held out)" in found[0].message


def test_a_class_of_few_rows_among_several_is_named():
    """Where others have many."""
    table = clean(Kind.CLASSIFICATION)
    table.loc[:6, "y"] = "rare"
    (found,) = imbalance(sides(table, Kind.CLASSIFICATION))
    assert "'rare' (7)" in found.message


def test_held_out_rows_that_look_different_are_told_by_their_column():
    """With the noise level; the same rows parted at random are silent."""
    table = clean(Kind.REGRESSION)
    moved = table.assign(b=table.b + (np.arange(N) % 4 == 0))
    (found,) = shifts(sides(moved, Kind.REGRESSION))
    assert found.columns == ("b",)
    assert "0.50 ± 0.02" in found.message
    later = table.assign(sold=pd.date_range("2024-01-01", periods=N, freq="h"))
    assert shifts(sides(later, Kind.REGRESSION, is_test=np.arange(N) >= 900)) == []


def test_what_says_the_date_is_no_shift_where_later_rows_are_held_out():
    """Year, month and a running number part the sides by themselves; a price that rises counts."""
    days = pd.Series(pd.date_range("2020-01-01", periods=N, freq="D"))
    table = clean(Kind.REGRESSION).assign(year=days.dt.year, Month=days.dt.month, no=np.arange(N))
    later = {"is_test": np.arange(N) >= 900}
    (found,) = shifts(sides(table, Kind.REGRESSION, **later))
    assert "no" in found.columns
    assert shifts(sides(table.assign(**{TIME: days}), Kind.REGRESSION, **later)) == []
    rising = table.assign(**{TIME: days}, a=table.a + np.arange(N) / 300)
    (found,) = shifts(sides(rising, Kind.REGRESSION, **later))
    assert found.columns == ("a",)


def two_moons(rate, seed=0):
    """Classes that a model tells apart, a part of the labels wrong; and which."""
    from sklearn.datasets import make_moons

    random = np.random.default_rng(seed)
    points, half = make_moons(N, noise=0.15, random_state=seed)
    is_wrong = random.random(N) < rate
    names = np.array(["lower", "upper"])[half ^ is_wrong]
    return pd.DataFrame(points, columns=list("ab")).assign(y=names), is_wrong


@pytest.mark.parametrize("rate", [0.05, 0.1])
@pytest.mark.parametrize("seed", range(3))
def test_wrong_labels_are_found(rate, seed):
    """The rows named are wrong ones; without any there is silence."""
    table, is_wrong = two_moons(rate, seed)
    (found,) = wrong_labels(sides(table, Kind.CLASSIFICATION))
    rows = found.message.partition("the first ")[2].partition(" and")[0].split(", ")
    assert np.mean([is_wrong[int(row)] for row in rows]) >= 0.8
    assert wrong_labels(sides(two_moons(0.0, seed)[0], Kind.CLASSIFICATION)) == []


def test_classes_that_overlap_are_no_wrong_labels():
    """A model is wrong in many rows, but not in those it is sure of."""
    random = np.random.default_rng(9)
    x = random.normal(size=(N, 3))
    yes = random.random(N) < 1 / (1 + np.exp(-2 * x[:, 0] - x[:, 1]))
    table = pd.DataFrame(x, columns=list("abc")).assign(y=yes)
    assert wrong_labels(sides(table, Kind.CLASSIFICATION)) == []
    rare = table.assign(y=random.random(N) < 0.1)
    assert wrong_labels(sides(rare, Kind.CLASSIFICATION)) == []


def test_doubtful_labels_come_with_the_most_doubtful_first():
    """By the probability of the label that was given."""
    y = np.repeat([0, 1], 100)
    answer = np.where(y[:, None] == [0, 1], 0.97, 0.03)
    answer[[3, 5, 7, 103, 105, 107], :] = [[0.02, 0.98]] * 3 + [[0.99, 0.01]] * 3
    assert set(doubtful(y, answer)[:3]) == {103, 105, 107}
    assert set(doubtful(y, answer)) == {3, 5, 7, 103, 105, 107}


def test_columns_of_no_use_are_named():
    """Constant, a shuffled row number, a category that never repeats, what was left out."""
    table = clean(Kind.REGRESSION).assign(
        same=1.0,
        number=np.random.default_rng(10).permutation(N),
        code=pd.Categorical([f"x{i}" for i in range(N)]),
    )
    table["day"] = pd.date_range("2020-01-01", periods=N)
    found = columns(sides(table, Kind.REGRESSION, left_out={"url": "text"}))
    assert [one.columns for one in found] == [("url",), ("same",), ("number", "code")]


def test_cells_that_were_lost_in_reading_are_counted():
    """Those that say something; what says `missing` is no loss."""
    weights = ["heavy", "unknown", *map(str, range(N - 2))]
    table = clean(Kind.REGRESSION).assign(w=pd.to_numeric(pd.Series(weights), errors="coerce"))
    table["w"] += 0.5
    found = columns(sides(table, Kind.REGRESSION, raw=pd.DataFrame({"w": weights})))
    assert [one.columns for one in found] == [("w",)]
    assert found[0].message.startswith("1 cell (< 1 %) of 'w' such as 'heavy'")


STRANGE = {
    "one column, one value": lambda n: {"a": np.ones(n)},
    "all missing": lambda n: {"a": np.full(n, np.nan), "b": pd.Categorical([None] * n)},
    "infinite and huge": lambda n: {"a": np.resize([np.inf, -np.inf, 1e300, 1.0], n)},
    "large integers": lambda n: {"a": np.arange(n) + 2**60},
    "nullable": lambda n: {"a": pd.array([None, 1] * (n // 2) + [1] * (n % 2), dtype="Int64")},
    "flags with gaps": lambda n: {"a": pd.array([None, True] * (n // 2) + [True] * (n % 2))},
    "dates with gaps": lambda n: {"a": pd.Series([pd.NaT, pd.Timestamp("2020")] * n)[:n]},
    "names that are odd": lambda n: {"": np.arange(n), "a,b": np.ones(n), "=1": np.arange(n) % 2},
    "text": lambda n: {"a": pd.Series([f"t{i % 3}" for i in range(n)], dtype="str")},
}


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("n", [2, 5, 60, 500])
@pytest.mark.parametrize("case", STRANGE)
def test_no_table_is_too_strange_to_look_at(case, n, kind):
    """Whatever a table holds, the checks end with warnings in one line each."""
    y = np.arange(n) % 2 if kind is Kind.CLASSIFICATION else np.arange(n) / 3
    table = pd.DataFrame(STRANGE[case](n)).assign(y=y)
    found = inspect(sides(table, kind, raw=table))
    assert all("\n" not in one.message for one in found)


@pytest.mark.long  # a limit in seconds, for tables that take some
def test_large_and_wide_tables_are_done_soon():
    """A part of the rows is looked at, also of 50,000 × 20 and 2,000 × 2,000: not for ever."""
    import time

    for n, k in [(50_000, 20), (2_000, 2_000)]:
        x = np.random.default_rng(11).normal(size=(n, k))
        table = pd.DataFrame(x, columns=[f"x{i}" for i in range(k)])
        table = table.assign(y=x[:, 0] + x[:, 1] > np.random.default_rng(12).normal(size=n))
        began = time.process_time()
        inspect(sides(table, Kind.CLASSIFICATION))
        assert time.process_time() - began < 90


def test_warnings_stand_in_a_table_and_come_back():
    """The most important first."""
    found = [
        DataWarning(WarningKind.COLUMNS, ("a", "b"), "x"),
        DataWarning(WarningKind.DUPLICATES, (), "y"),
        DataWarning(WarningKind.LEAK, ("c",), "z"),
    ]
    ordered = sorted_warnings(found)
    assert [one.kind.value for one in ordered] == ["leak", "duplicates", "columns"]
    assert list(of_table(as_table(ordered))) == ordered
    assert of_table(as_table([])) == ()


def of_file(path, target, **more):
    """Sides of a file as the problem `table` reads it."""
    problem = problems.get("table")
    params = problems.parse(problem, {"path": str(path), "target": target, **more})
    raw = problem.load(params)
    goal, features = problem.goal(raw, params), problem.features(raw, params)
    split = problem.split(features, raw, params)
    return Sides.of(features.assign(**{SPLIT: split}), target, goal.kind, raw=raw)


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "diabetes"])
def test_no_leak_is_seen_in_clean_tables_of_scikit_learn(name, tmp_path):
    """Nor anything else."""
    from sklearn import datasets

    frame = getattr(datasets, f"load_{name}")(as_frame=True).frame
    frame.to_csv(tmp_path / "t.csv", index=False)
    assert inspect(of_file(tmp_path / "t.csv", "target")) == []


@pytest.mark.parametrize(
    ("file", "target"),
    [("magic_train", "class"), ("phoneme", "nasal"), ("abalone", "rings")],
)
def test_no_leak_is_seen_in_clean_public_tables(file, target, shared):
    """Nor a suspect."""
    kinds = {one.kind for one in inspect(of_file(shared(f"tables/{file}.csv"), target))}
    assert not kinds & {"leak", "suspect", "labels", "shift", "group", "time"}


@pytest.mark.parametrize(
    ("file", "target", "kind", "columns"),
    [
        ("bike_hour", "cnt", "leak", {"casual", "registered"}),
        ("bike_hour", "cnt", "time", {"dteday"}),
        ("taxis", "total", "leak", {"fare", "tip", "tolls"}),
        ("bank_marketing", "y", "suspect", {"duration"}),
        ("online_shoppers", "Revenue", "suspect", {"PageValues"}),
        ("beijing_pm25", "pm2.5", "time", {"year", "month"}),
        ("mammography", "calcification", "imbalance", {"calcification"}),
    ],
)
def test_what_a_colleague_knows_of_public_tables_is_said(file, target, kind, columns, shared):
    """Columns that add up to the target, the duration of the call that sold, days beside chance."""
    found = inspect(of_file(shared(f"tables/{file}.csv"), target))
    assert columns in [set(one.columns) for one in found if one.kind == kind]
