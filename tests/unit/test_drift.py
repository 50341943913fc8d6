"""Drift: what is found, what is no alarm, and how often chance is one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.stats import hypergeom

from baton.errors import InputError
from baton.monitoring.bins import MOST_BINS, MOST_LEVELS, profiled
from baton.monitoring.columns import counted, in_bins
from baton.monitoring.drift import Watch, compare, with_classifier
from baton.monitoring.homogeneity import adjusted, of_bins, of_share
from baton.monitoring.profile import Counts, from_table, profile_of, to_table


def table(seed=0, n_rows=2_000, **more):
    """A column of every kind."""
    random = np.random.default_rng(seed)
    day = pd.Timestamp("2021-01-01")
    found = {
        "x": random.normal(size=n_rows),
        "zeros": np.where(random.random(n_rows) < 0.6, 0, random.exponential(size=n_rows)),
        "count": random.integers(0, 6, n_rows),
        "gaps": np.where(random.random(n_rows) < 0.1, np.nan, random.normal(size=n_rows)),
        "flag": random.random(n_rows) < 0.3,
        "colour": pd.Categorical(random.choice(["red", "blue", "green"], n_rows)),
        "city": random.choice(["Rome", "Oslo", None], n_rows),
        "id": pd.Series(random.integers(0, 900, n_rows)).map("id {}".format),
        "when": day + pd.to_timedelta(random.integers(0, 10_000, n_rows), "h"),
        "month": random.integers(1, 13, n_rows),
    }
    return pd.DataFrame(found).assign(**more)


def drift(before, now, watch=None, answers=(None, None)):
    """Compare in one go."""
    counts = Counts(profile_of(before, answers[0]))
    counts.add(now, answers[1])
    return compare(counts, watch or Watch())


def names(found):
    return {column.name for column in found.drifted}


def of(found, name):
    return next(column for column in found.columns if column.name == name)


def column(values, name="x"):
    return profiled(pd.Series(values, name=name), "feature", says_date=False)


# What is kept of a table


def test_a_profile_is_a_plain_table_and_comes_back_as_it_was(tmp_path):
    """A row for each bin, of plain columns, through a Parquet file."""
    answers = pd.DataFrame({"label": ["yes", "no"] * 50, "yes": np.linspace(0, 1, 100)})
    profile = profile_of(table(), answers)
    pq.write_table(to_table(profile), tmp_path / "profile.parquet")
    read = pq.read_table(tmp_path / "profile.parquet")
    assert from_table(read) == profile
    assert not read.schema.metadata
    assert {one.kind for one in profile.columns} == {"feature", "prediction"}


@pytest.mark.parametrize("harm", ["drop", "null"])
def test_a_table_that_is_no_profile_is_refused(harm):
    """In one line, with the fix."""
    made = to_table(profile_of(table(n_rows=60)))
    wrong = made.drop_columns(["count"]) if harm == "drop" else made.slice(1, 3)
    with pytest.raises(InputError, match="delete it and run its chain again"):
        from_table(wrong)


VALUES = st.one_of(
    st.lists(st.one_of(st.none(), st.floats(allow_nan=True)), min_size=1, max_size=300),
    st.lists(st.one_of(st.none(), st.integers(-5, 5)), min_size=1, max_size=300),
    st.lists(st.one_of(st.none(), st.text(max_size=3)), min_size=1, max_size=300),
    st.lists(st.one_of(st.none(), st.booleans()), min_size=1, max_size=300),
    st.lists(st.one_of(st.none(), st.datetimes()), min_size=1, max_size=100),
)


@settings(max_examples=60, deadline=None)
@given(VALUES)
def test_every_value_is_in_one_bin_or_missing(values):
    """Whatever a column holds; and the profile comes back from its table as it was."""
    frame = pd.DataFrame({"x": values})
    profile = profile_of(frame)
    (made,) = profile.columns
    found = counted(frame.x, made)
    assert found.counts.sum() + found.n_missing == len(values)
    assert found.n_missing == made.n_missing
    assert made.has_levels or made.n_bins <= MOST_BINS
    assert from_table(to_table(profile)) == profile
    assert len(made.labels) == made.n_bins


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.floats(allow_nan=False), max_size=50),
    st.lists(st.floats(allow_nan=False), max_size=20, unique=True),
)
def test_counting_by_edges_is_a_search_of_each_bin(numbers, edges):
    """It is only faster."""
    edges = tuple(sorted(edges))
    wanted = np.bincount(np.searchsorted(edges, numbers), minlength=len(edges) + 1)
    assert in_bins(np.array(numbers), edges, len(numbers)).tolist() == wanted.tolist()


def test_a_frequent_value_has_a_bin_of_its_own():
    """Zeros beside numbers; below the least value a bin that nothing is in yet."""
    made = column(table().zeros)
    assert made.labels[:2] == ("< 0", "0")
    assert made.counts[:2] == (0, int((table().zeros == 0).sum()))
    assert np.ptp(made.counts[2:]) <= 3


def test_few_numbers_have_a_bin_each():
    """And what training never saw lies beyond."""
    made = column(table()["count"])
    assert made.labels == ("< 0", "0", "1", "2", "3", "4", "5", "> 5")
    assert counted(pd.Series([-1, 7, 9, 3]), made).counts.tolist() == [1, 0, 0, 0, 1, 0, 0, 2]


def test_levels_that_are_rare_or_unknown_are_told_apart():
    """Fifty have a bin; the others that training had are other ones, no unknown ones."""
    ids = pd.Series(np.repeat(np.arange(100), 20)).map("id {}".format)
    made = column(ids)
    assert len(made.levels) == MOST_LEVELS
    *_, other, unknown = counted(pd.Series([made.rarer[0], "new", "id 3", None]), made).counts
    assert (other, unknown) == (1 + ("id 3" in made.rarer), 1)


def test_levels_mean_the_same_however_they_are_written():
    """3 and 3.0, true and True, a category or a text."""
    made = column([1, 2, 3, 1, 2, 3] * 5)
    assert not made.has_levels
    coded = column(pd.Categorical([1, 2, 3] * 5))
    assert counted(pd.Series([1.0, 2.0, np.nan]), coded).counts.tolist() == [1, 1, 0, 0, 0]
    flags = column([True, False] * 5)
    assert counted(pd.Series(["true", "True", "False"]), flags).counts.tolist() == [1, 2, 0, 0]


def test_batches_add_up():
    """Rows by batches are counted as rows at once, by one thread or several."""
    profile, new = profile_of(table()), table(1, 40_000)
    whole, parts = Counts(profile), Counts(profile)
    whole.add(new)
    for first in range(0, len(new), 7_000):
        parts.add(new.iloc[first : first + 7_000])
    assert compare(whole, Watch()) == compare(parts, Watch())


# What is found


def test_a_shift_is_found_and_named():
    """It alone; the sentence says how far, and of how many columns."""
    now = table(1, 500)
    found = drift(table(), now.assign(x=now.x + 1))
    assert names(found) == {"x"}
    assert found.is_drifted
    assert found.columns[0].name == "x"
    assert (
        found.reason == f"'x' moved most (PSI {found.columns[0].psi:.3g}); 1 of 8 columns drifted"
    )


def test_more_missing_values_are_found_by_themselves():
    """Where the known values are as they were."""
    now = table(1, 500)
    found = drift(table(), now.assign(x=now.x.where(np.arange(500) % 4 > 0)))
    assert names(found) == {"x"}
    assert "25 % of the rows lack it, 0 % did" in found.reason
    assert of(found, "x").bins[-1] == ("(missing)", 0.0, 0.25)


def test_fewer_missing_values_are_found_too():
    """What is filled in by another value hides that it is not known."""
    before = table(0, 2_000)
    before["x"] = before.x.where(np.arange(2_000) % 2 > 0)
    assert names(drift(before, table(1, 500))) == {"x"}


def test_unknown_levels_are_found():
    """As a share of the rows."""
    now = table(1, 400)
    found = drift(table(), now.assign(city=np.where(np.arange(400) % 4, now.city, "Bern")))
    assert names(found) == {"city"}
    assert of(found, "city").unknown_now == 0.25
    assert "25 % of the rows have levels never seen" in found.reason


def test_a_frequent_value_that_goes_away_is_found():
    """Though the mean stays where it was."""
    now = table(1, 500)
    found = drift(table(), now.assign(zeros=np.where(now.zeros == 0, 0.4, now.zeros)))
    assert names(found) == {"zeros"}


def test_predictions_drift_by_themselves():
    """They are columns of their own kind, and may be of other rows."""
    random = np.random.default_rng(0)
    before, now = (pd.DataFrame({"yes": random.beta(2, b, 800)}) for b in (5, 2))
    found = drift(table(), table(1, 400), answers=(before, now))
    assert [(one.name, one.kind) for one in found.drifted] == [("yes", "prediction")]
    assert not drift(table(), table(1, 400), answers=(before, None)).is_drifted


def test_what_says_the_date_is_shown_and_is_no_alarm():
    """Datetimes, parts of the calendar by name, numbers that only go up with time."""
    before = table().assign(number=lambda rows: rows.when.rank().astype(int))
    now = table(1, 500).assign(number=10**6, month=1, when=pd.Timestamp("2025-01-01"))
    found = drift(before, now)
    assert not found.is_drifted
    assert {one.name for one in found.columns if one.says_date} == {"when", "month", "number"}
    assert all(of(found, name).psi > 1 for name in ("when", "month", "number"))
    rising = pd.DataFrame({"number": np.arange(100)})
    (marked,) = profile_of(rising, times=np.arange(100)).columns
    assert marked.says_date
    assert not profile_of(rising).columns[0].says_date


def test_significant_but_small_is_no_alarm():
    """With many rows everything differs; the least shift that counts is the user's."""
    random = np.random.default_rng(0)
    before, now = (pd.DataFrame({"x": random.normal(m, 1, 50_000)}) for m in (0, 0.1))
    found = drift(before, now)
    assert not found.is_drifted
    assert found.columns[0].p_adjusted < 1e-6
    assert found.reason.startswith("no column moved far: 'x' (PSI 0.0")
    assert drift(before, now, Watch(psi=0.005)).is_drifted


def test_few_rows_have_no_verdict():
    """And the page says how many are wanted; that a column is lost needs no statistics."""
    now = table(1, 49)
    found = drift(table(), now.assign(x=99.0))
    assert not found.is_drifted
    assert found.reason == "49 new rows: too few for a verdict, 50 are wanted"
    assert drift(table(), now.drop(columns="x")).is_drifted
    assert drift(table(), now.iloc[:0]).reason.startswith("0 new rows")


# What has changed of the columns


def test_lost_new_and_changed_columns_are_said():
    """None of it is an error; a lost one is an alarm."""
    now = table(1, 400).drop(columns="x").assign(extra=1, count="many", when=5)
    found = drift(table(), now)
    assert found.lost == ("x",)
    assert found.is_drifted
    assert found.reason.startswith("'x' is missing from the new rows; ")
    assert found.schema_changes == (
        "'x' is missing",
        "'extra' is new",
        "'count' holds categories (many), it held numbers",
        "'when' holds numbers (5), it held dates",
    )


def test_a_column_that_some_batches_lack_is_said():
    """With how many."""
    counts = Counts(profile_of(table()))
    counts.add(table(1, 300))
    counts.add(table(2, 100).drop(columns="flag"))
    found = compare(counts, Watch())
    assert found.schema_changes == ("'flag' is missing in 1 of 2 batches",)
    assert not found.lost
    assert of(found, "flag").missing_now == 0.25


def test_what_cannot_be_read_is_said_and_counts_as_missing():
    """Some cells of a batch, with the first of them; lists are none of the levels."""
    now = table(1, 400)
    x, flag = (now[name].astype(object).copy() for name in ("x", "flag"))
    x[::2], flag[::2] = "n/a", [[1]] * 200
    found = drift(table(), now.assign(x=x, flag=flag))
    assert found.schema_changes == ("'x' holds categories (n/a), it held numbers",)
    assert (of(found, "x").missing_now, of(found, "flag").unknown_now) == (0.5, 0.5)


def test_an_empty_table_is_no_error():
    """Nor a column that training did not have a value of."""
    before = table().assign(none=None)
    assert not drift(before.iloc[:0], table(1, 100)).drifted
    assert not drift(before, table(1, 100).assign(none=None)).is_drifted
    assert names(drift(before, table(1, 100).assign(none=1.5))) == {"none"}


def test_what_is_written_otherwise_is_no_change():
    """Numbers as text, whole numbers, all missing, a category as text."""
    now = table(1, 400)
    written = now.assign(
        x=now.x.astype(str), count=now["count"].astype(float), colour=now.colour.astype(str)
    )
    found = drift(table(), written)
    assert (found.schema_changes, found.is_drifted) == ((), False)


# How often chance is an alarm


@pytest.mark.parametrize(("n", "m"), [(30, 50), (200, 200), (1_000, 50), (20_000, 300)])
def test_the_test_of_a_share_is_fishers_within_half(n, m):
    """Exact tails are never more than 1.5 times as great, with few rows and many."""
    for total in (1, 3, 10, 40, (n + m) // 20, (n + m) // 2, n + m - 2):
        b = np.arange(max(0, total - n), min(total, m) + 1)
        upper, lower = hypergeom.sf(b - 1, n + m, total, m), hypergeom.cdf(b, n + m, total, m)
        exact = np.minimum(1, 2 * np.minimum(upper, lower))
        said = of_share(total - b, np.full(len(b), n), b, np.full(len(b), m))
        assert (exact <= said * (1 + 1e-9) + 1e-12).all()


N_DRAWN = 15_000
SHAPES = {
    "flat": np.full(18, 1 / 18),
    "long tail": 1 / np.arange(1, 51) / (1 / np.arange(1, 51)).sum(),
    "rare": np.array([0.9, 0.05, 0.02, 0.01, 0.01, 0.005, 0.005]),
    "two": np.array([0.97, 0.03]),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("n", "m"), [(5_000, 50), (300, 300), (100, 2_000)])
def test_a_p_value_is_as_rare_as_it_says(shape, n, m):
    """Of 15,000 histograms of one distribution, down to one in a thousand."""
    random = np.random.default_rng([n, m, len(SHAPES[shape])])
    before, now = (random.multinomial(rows, SHAPES[shape], N_DRAWN) for rows in (n, m))
    p = of_bins(before, now, np.ones(N_DRAWN, dtype=bool))
    for level in (0.1, 0.01, 0.001):
        expected = level * N_DRAWN
        assert (p < level).sum() <= expected + 4 * np.sqrt(expected)


def test_adjusted_is_never_below_bonferronis_least():
    """Where nothing changed, dependence does no harm."""
    p = np.array([0.004, 0.004, 0.004, 0.5])
    assert adjusted(p).min() == 4 * 0.004
    assert len(adjusted(np.array([]))) == 0


def hard(seed, n_rows):
    """Columns that depend on each other, with ties, zeros, gaps, rare and thousands of levels."""
    random = np.random.default_rng(seed)
    own = random.normal(size=n_rows)[:, None] + random.normal(size=(n_rows, 6))
    return pd.DataFrame(
        {
            "zeros": np.where(own[:, 0] < 0.5, 0, own[:, 0]),
            "ties": np.round(own[:, 1]),
            "gaps": np.where(own[:, 2] > 0, np.nan, own[:, 2]),
            "rare": pd.Series(np.digitize(own[:, 3], [2, 3, 3.5, 4])).map(str),
            "many": pd.Series((np.exp(own[:, 4]) * 100).astype(int)).map("id {}".format),
            "flat": pd.Series(random.integers(0, 500, n_rows)).map("level {}".format),
            "flag": own[:, 5] > 3.5,
        }
    )


def n_alarms(n_pairs, n, m, level, asks_classifier=False):
    """Of so many pairs of like tables, where chance alone decides."""
    found = 0
    for seed in range(n_pairs):
        before, now = hard([seed, 0], n), hard([seed, 1], m)
        one = drift(before, now, Watch(level=level, psi=0))
        if asks_classifier:
            one = with_classifier(one, before, now, seed)
        found += one.is_drifted
    return found


@pytest.mark.parametrize(("n", "m"), [(500, 500), (2_000, 60)])
def test_like_tables_are_seldom_an_alarm(n, m):
    """At a level of .2, of 40 pairs at most 8; 13 would be a chance of one in a hundred."""
    assert n_alarms(40, n, m, 0.2) <= 12


@pytest.mark.long  # 600 pairs of each size; the test above holds it of 40
@pytest.mark.parametrize(("n", "m"), [(500, 500), (2_000, 50), (3_000, 1_000), (100, 3_000)])
def test_like_tables_are_an_alarm_as_often_as_is_stated(n, m):
    """At .1 at most 60 of 600 (80 would be a chance of one in a hundred)."""
    assert n_alarms(600, n, m, 0.1) <= 79


@pytest.mark.long  # of one pair: test_what_no_column_shows_the_classifier_does
def test_the_classifier_adds_no_false_alarms():
    """Of 200 pairs of like tables with few rows, at .1 at most 20 (31: one in a hundred)."""
    assert n_alarms(200, 400, 60, 0.1, asks_classifier=True) <= 30


# The classifier


def flipped(seed, n_rows, sign):
    """Two columns whose correlation has a sign, each by itself always the same; and noise."""
    random = np.random.default_rng(seed)
    x, e, noise = random.normal(size=(3, n_rows))
    return pd.DataFrame({"x": x, "y": sign * 0.9 * x + np.sqrt(1 - 0.81) * e, "noise": noise})


def test_what_no_column_shows_the_classifier_does():
    """A correlation that flips is an alarm, told by the columns that do."""
    before, now, like = flipped(0, 2_000, 1), flipped(1, 1_000, -1), flipped(2, 1_000, 1)
    alone = drift(before, now)
    assert not alone.is_drifted
    found = with_classifier(alone, before, now, 0)
    assert found.is_drifted
    assert found.auc > 0.9
    assert {name for name, _ in found.told_by[:2]} == {"x", "y"}
    assert found.reason.startswith("no column moved by itself, but a classifier tells")
    quiet = with_classifier(drift(before, like), before, like, 0)
    assert not quiet.is_drifted
    assert abs(quiet.auc - 0.5) < 4 * quiet.auc_noise


def test_the_classifier_is_not_shown_the_date():
    """Nor asked where there is no column or too few rows."""
    before, now = table(0, 400), table(1, 400).assign(month=1, when=pd.Timestamp("2030-01-01"))
    found = with_classifier(drift(before, now), before, now, 0)
    assert not {"month", "when"} & {name for name, _ in found.told_by}
    assert not found.is_drifted
    assert with_classifier(found, before, now.head(20), 0) is found
    dates = before[["when"]]
    assert with_classifier(drift(dates, dates), dates, dates, 0).auc is None


# Real tables


def halves(rows, seed=0):
    mixed = rows.sample(frac=1, random_state=seed)
    return mixed.iloc[::2], mixed.iloc[1::2]


def test_seasons_of_bicycles(shared):
    """Winter to summer: temperatures and how many ride; hour, weekday and wind are as they were."""
    rows = pd.read_csv(shared("tables/bike_hour.csv"), skipinitialspace=True)
    rows = rows.rename(columns=str.strip).assign(
        dteday=lambda bikes: pd.to_datetime(bikes.dteday.str.strip())
    )
    winter, summer = rows[rows.season == 1], rows[rows.season == 3]
    found = drift(winter, summer)
    assert names(found) == {"temp", "atemp", "casual", "registered", "cnt"}
    assert {one.name for one in found.columns if one.says_date} == {
        "dteday",
        "season",
        "mnth",
        "yr",
        "instant",
    }
    assert not drift(*halves(winter)).is_drifted


def test_winter_and_summer_of_beijing(shared):
    """Weather drifts, and the row's number unless the times are told; a year to the next does not.

    Each year has the same seasons.
    """
    rows = pd.read_csv(shared("tables/beijing_pm25.csv"))
    cold, warm = (rows[rows.month.isin(months)] for months in ([12, 1, 2], [6, 7, 8]))
    assert {"TEMP", "DEWP", "PRES", "pm2.5", "cbwd"} <= names(drift(cold, warm))
    assert not drift(*halves(cold)).is_drifted
    first, later = rows[rows.year == 2010], rows[rows.year == 2014]
    assert names(drift(first, later)) == {"No"}
    counts = Counts(profile_of(first, times=first.No.to_numpy()))
    counts.add(later)
    assert not compare(counts, Watch()).is_drifted


def test_months_of_taxis(shared):
    """From January to March 2021 the tips of 2.75 went away, that had been a quarter of all."""
    first, later = (
        pd.read_parquet(shared(f"taxi_green/green_tripdata_2021-0{n}.parquet")) for n in (1, 3)
    )
    found = drift(first, later)
    assert names(found) == {"tip_amount", "extra"}
    shares = {label: (before, now) for label, before, now in of(found, "tip_amount").bins}
    assert shares["2.75"] == pytest.approx((0.27, 0.0), abs=0.01)
    like = halves(first)
    asked = with_classifier(drift(*like), *(one.head(1_500) for one in like), 0)
    assert not asked.is_drifted


@pytest.mark.parametrize(
    "wrong", [{"level": 0}, {"level": 1}, {"psi": -1}, {"least_rows": 0}, {"what": 1}]
)
def test_a_watch_refuses_what_it_does_not_know(wrong):
    """Its parameters are typed and bounded."""
    with pytest.raises(ValidationError):
        Watch.model_validate(wrong)
