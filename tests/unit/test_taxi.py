"""The problem `taxi`: months, limits, one processing for both cases."""

import pandas as pd
import pytest

from baton import problems
from baton.errors import InputError
from baton.terms import ROW

TAXI = problems.get("taxi")
TRIPS = pd.DataFrame(
    {
        "lpep_pickup_datetime": pd.to_datetime(["2021-01-04 10:00"] * 5),
        "lpep_dropoff_datetime": pd.to_datetime(
            [
                "2021-01-04 10:01",
                "2021-01-04 11:00",
                "2021-01-04 10:00:59",
                "2021-01-04 11:00:01",
                None,
            ],
            format="mixed",
        ),
        "PULocationID": [7, 8, 7, 8, 9],
        "DOLocationID": [9, None, 9, 9, 9],
        "passenger_count": [1, None, 2, 1, 1],
        "trip_distance": [0.5, 12.0, 0.1, 3.0, 4.0],
    }
)


def parsed(**values):
    return problems.parse(TAXI, values)


@pytest.fixture
def folder(tmp_path):
    """Two months of five trips."""
    for month in ("2021-01", "2021-02"):
        TRIPS.to_parquet(tmp_path / f"green_tripdata_{month}.parquet")
    return tmp_path


def given(folder, **values):
    return parsed(train="2021-01", test="2021-02", source=str(folder), **values)


def test_a_trip_counts_from_one_minute_to_sixty_both_included(folder):
    """Without a target every trip counts."""
    params = given(folder)
    raw = TAXI.load(params)
    table = TAXI.features(raw, params)
    assert table["duration_min"].tolist() == [1.0, 60.0] * 2
    assert table[ROW].tolist() == [0, 1, 5, 6]
    assert TAXI.split(table, raw, params).tolist() == ["train", "train", "test", "test"]
    assert len(TAXI.new_features(TAXI.unseen(params), params, {})) == 5


def test_ids_are_text_and_what_is_unknown_is_minus_one(folder):
    """A number would be taken for a quantity."""
    params = given(folder, features="ids")
    table = TAXI.features(TAXI.load(params), params)
    assert table["DOLocationID"].tolist() == ["9", "-1"] * 2
    assert table["passenger_count"].tolist() == ["1", "-1"] * 2
    pair = TAXI.features(TAXI.load(params), given(folder, features="pair"))
    assert pair["PU_DO"].tolist()[:2] == ["7_9", "8_-1"]


def test_training_and_prediction_see_the_same_columns(folder):
    """In the same types, for every choice of features."""
    for features in ("all", "pair", "ids"):
        params = given(folder, features=features)
        raw = TAXI.load(params)
        known = TAXI.features(raw, params).drop(columns="duration_min")
        new = TAXI.new_features(raw, params, {})
        assert list(known.columns) == list(new.columns)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"train": "2021-13"}, "no such month"),
        ({"train": "2021-1"}, "no such month"),
        ({"test": "2999-01"}, "future"),
        ({"train": "2021-02", "test": "2021-01"}, "must be a month after train"),
        ({"train": "2021-01", "test": "2021-01"}, "must be a month after train"),
        ({"colour": "blue"}, "green"),
        ({"min_minutes": -1}, "greater than or equal to 0"),
        ({"min_minutes": 9, "max_minutes": 8}, "max_minutes must be more"),
        ({"source": "s3://bucket"}, "folder, a file or an http address"),
        ({"source": "https://me:hush@host/x"}, "without a user, a password"),
        ({"source": "https://host/x?token=hush"}, "without a user, a password"),
        ({"source": "http://[bad"}, "without a user, a password"),
    ],
)
def test_what_cannot_be_is_refused_at_the_door(values, said):
    """Before anything is read; a password is not repeated."""
    with pytest.raises(InputError, match=said) as error:
        parsed(**values)
    assert "hush" not in str(error.value)


def test_months_follow_from_each_other():
    """One of them is enough; without any, the latest that is published."""
    assert parsed(test="2021-01").months == {"train": "2020-12", "test": "2021-01"}
    assert parsed(train="2020-12").months == {"train": "2020-12", "test": "2021-01"}
    months = parsed().months
    assert months["train"] < months["test"]


def test_files_that_are_not_there_or_no_trips_are_named(folder, tmp_path_factory):
    """With what to do."""
    with pytest.raises(InputError, match=r"green_tripdata_2021-02\.parquet.*-p source=FOLDER"):
        (folder / "green_tripdata_2021-02.parquet").unlink()
        TAXI.fingerprint(given(folder))
    pd.DataFrame({"a": [1]}).to_parquet(folder / "green_tripdata_2021-02.parquet")
    with pytest.raises(InputError, match="holds no records of green taxis"):
        TAXI.load(given(folder))


def test_without_a_network_it_says_what_to_do(monkeypatch):
    """The public address cannot be reached: another month does not help, a folder does."""
    with pytest.raises(ConnectionError, match=r"check the network, or .*-p source=FOLDER"):
        TAXI.fingerprint(parsed(train="2021-01", source="http://127.0.0.1:9"))


def test_one_file_may_hold_several_months(tmp_path):
    """Its trips are parted by the month of the pick-up."""
    path = tmp_path / "trips.parquet"
    later = TRIPS[["lpep_pickup_datetime", "lpep_dropoff_datetime"]] + pd.Timedelta(days=31)
    pd.concat([TRIPS, TRIPS.assign(**later)]).to_parquet(path)
    params = given(path)
    assert TAXI.load(params)["_split"].value_counts().to_dict() == {"train": 5, "test": 5}


def test_trips_that_have_only_begun_are_predicted(folder):
    """There is no drop-off yet."""
    bare = TRIPS.drop(columns="lpep_dropoff_datetime")
    bare.to_parquet(folder / "green_tripdata_2021-03.parquet")
    params = given(folder, month="2021-03")
    assert len(TAXI.new_features(TAXI.unseen(params), params, {})) == 5
