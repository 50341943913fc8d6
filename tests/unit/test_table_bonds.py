"""The problem `table` where rows hang together: what is held out."""

import numpy as np
import pandas as pd
import pytest

from baton.errors import InputError
from baton.problems import parse
from baton.problems.table import problem
from baton.terms import ROW


@pytest.fixture
def visits(tmp_path):
    """Visits of customers, in no order."""
    rng = np.random.default_rng(0)
    n = 600
    frame = pd.DataFrame(
        {
            "customer_id": rng.integers(0, 60, n),
            "day": pd.date_range("2021-01-01", periods=200)[rng.integers(0, 200, n)],
            "price": rng.normal(size=n).round(3),
            "bought": rng.choice(["no", "yes"], n, p=[0.8, 0.2]),
        }
    )
    path = tmp_path / "visits.csv"
    frame.assign(day=frame["day"].dt.strftime("%d.%m.%Y")).to_csv(path, index=False)
    return path, frame


def run(path, target="bought", **values):
    given = parse(problem, {"path": str(path), "target": target, **values})
    problem.fingerprint(given)
    raw = problem.load(given)
    features = problem.features(raw, given)
    sides = problem.split(features, raw, given)
    return problem.goal(raw, given), features, sides


def test_held_out_rows_are_later(visits):
    """The last quarter by day, no day on both sides, though days are text in the file."""
    path, frame = visits
    _, features, sides = run(path, time="day")
    days = frame["day"].to_numpy()[features[ROW]]
    assert days[sides == "train"].max() < days[sides == "test"].min()
    assert (sides == "test").mean() == pytest.approx(0.25, abs=0.01)
    assert "day" in features


def test_held_out_rows_are_of_others(visits):
    """Whole customers, near the wanted part, in proportion; a customer's id is no feature."""
    path, frame = visits
    goal, features, sides = run(path, group="customer_id", test_size=0.3)
    of = frame["customer_id"].to_numpy()[features[ROW]]
    assert not set(of[sides == "train"]) & set(of[sides == "test"])
    assert (sides == "test").mean() == pytest.approx(0.3, abs=0.03)
    shares = features["bought"].eq("yes").groupby(sides, observed=True).mean()
    assert shares["train"] == pytest.approx(shares["test"], abs=0.04)
    assert "customer_id" not in features
    assert "of other values of 'customer_id'" in " ".join(goal.notes)
    assert not sides.equals(run(path, group="customer_id", test_size=0.3, seed=1)[2])


def test_held_out_rows_are_later_and_of_others(visits):
    """Rows on the wrong side of time are on neither side."""
    path, frame = visits
    _, features, sides = run(path, group="customer_id", time="day")
    rows = features[ROW].to_numpy()
    of, days = frame["customer_id"].to_numpy()[rows], frame["day"].to_numpy()[rows]
    assert not set(of[sides == "train"]) & set(of[sides == "test"])
    assert days[sides == "train"].max() < days[sides == "test"].min()
    assert sides.isna().any()


def test_groups_and_times_go_with_the_rows(visits):
    """As values by row, in the order of the features, rows without a target left out."""
    path, frame = visits
    frame.loc[:9, "bought"] = None
    frame.to_csv(path, index=False)
    given = parse(problem, {"path": str(path), "target": "bought", "time": "day"})
    raw = problem.load(given)
    features = problem.features(raw, given)
    times = problem.times(features, raw, given)
    assert times.to_numpy().tolist() == raw["day"][10:].to_numpy().tolist()
    assert problem.groups(features, raw, given) is None
    given = given.model_copy(update={"group": "customer_id", "time": None})
    groups = problem.groups(features, raw, given)
    assert groups.tolist() == raw["customer_id"][10:].astype(str).tolist()
    assert groups.index.equals(features.index)


def test_a_dropped_column_may_say_when(visits):
    """It decides what is held out and is no feature."""
    _, features, sides = run(visits[0], time="day", drop="day")
    assert "day" not in features
    assert sides.equals(run(visits[0], time="day")[2])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"time": "dya"}, "time 'dya' is not a column .* did you mean 'day'"),
        ({"group": "customer"}, "group 'customer' is not a column .* did you mean 'customer_id'"),
        ({"time": "bought"}, "time 'bought' is the target"),
        ({"time": "day", "group": "day"}, "time and group are both 'day'"),
        ({"time": "word"}, "time 'word' holds neither dates nor numbers"),
        ({"time": "hole"}, "time 'hole' cannot be read in 1 row; fill it in"),
        ({"time": "same"}, "rows of one time only have no later ones; leave time out"),
        ({"group": "same"}, "rows of one group only cannot be parted by group"),
        ({"time": "price", "target": "sorted"}, "rows to learn from are of one class of 'sorted'"),
    ],
)
def test_what_cannot_part_the_rows_is_refused(visits, values, message):
    """One line with the fact and the fix."""
    path, frame = visits
    frame = frame.sort_values("price", ignore_index=True)
    others = {"word": np.where(frame.index % 2, "a", "b"), "hole": frame["price"], "same": 3}
    frame = frame.assign(**others, sorted=np.where(frame.index < 500, "no", "yes"))
    frame.loc[0, "hole"] = None
    frame.to_csv(path, index=False)
    with pytest.raises(InputError, match=message) as caught:
        run(path, **values)
    assert "\n" not in str(caught.value)


def test_an_empty_text_asks_for_nothing(visits):
    """As the page of Prefect sends it."""
    assert run(visits[0], time="", group="")[2].equals(run(visits[0])[2])


def test_a_second_file_is_the_split_and_its_groups_are_looked_at(visits):
    """What is asked for decides the folds; that customers are on both sides is said."""
    path, frame = visits
    other = path.with_name("other.csv")
    frame[:500].to_csv(path, index=False)
    frame[500:].to_csv(other, index=False)
    goal, features, sides = run(path, test_path=str(other), group="customer_id", time="day")
    assert (sides == "test").to_numpy().tolist() == (features[ROW] >= 500).tolist()
    assert "100 held-out rows are of values of 'customer_id' that are learnt from too" in goal.notes
