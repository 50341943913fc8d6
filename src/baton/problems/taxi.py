"""The problem ``taxi``: how long a trip of a New York taxi takes.

It is trained on one month of the records that the city's Taxi and Limousine Commission (TLC)
publishes and scored on a later one. The same `processing` makes features for training, where the
duration is known, and for prediction, where it is not.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from baton.errors import InputError
from baton.lineage import digest_of_file
from baton.problems.base import Goal, Params, SourcedProblem
from baton.problems.recipes import XGBOOST
from baton.problems.splits import marked
from baton.settings import settings
from baton.sources import download, local
from baton.terms import ROW, SPLIT, Kind, Split

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from pandera.pandas import DataFrameSchema

PUBLIC = "https://d37ci6vzurychx.cloudfront.net/trip-data"
"""TLC's public download, https://www.nyc.gov/site/tlc/about/tlc-trip-record-data.page."""

TARGET = "duration_min"

IDS = ("PULocationID", "DOLocationID")
UNKNOWN = "-1"
_FIRST_YEAR = 2009
_MONTHS_UNTIL_PUBLISHED = 3
_OFFLINE = "or put the file into a folder and name that: -p source=FOLDER"


class Colour(StrEnum):
    """Which taxis."""

    GREEN = "green"
    YELLOW = "yellow"

    @property
    def prefix(self) -> str:
        """What the columns of its times begin with."""
        return "lpep" if self is Colour.GREEN else "tpep"


class Features(StrEnum):
    """What the model sees."""

    ALL = "all"
    PAIR = "pair"
    IDS = "ids"


def _month(text: str) -> str:
    if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", text) or int(text[:4]) < _FIRST_YEAR:
        raise ValueError(f"there is no such month: give one as YYYY-MM, from {_FIRST_YEAR} on")
    if text > datetime.now(UTC).strftime("%Y-%m"):
        raise ValueError("that month lies in the future")
    return text


def _source(text: str) -> str:
    """Address, or an absolute path: another process has another working directory."""
    if re.match(r"https?://", text):
        return download.checked_url(text.rstrip("/"))
    if "://" in text:
        raise ValueError("a folder, a file or an http address is wanted")
    return str(local.absolute(text))


Month = Annotated[str, AfterValidator(_month)]


class TaxiParams(Params):
    """Parameters of ``taxi``."""

    colour: Annotated[Colour, Field(description="which taxis: green or yellow")] = Colour.GREEN
    train: Annotated[
        Month | None,
        Field(description="month to learn from, YYYY-MM; by default the one before `test`"),
    ] = None
    test: Annotated[
        Month | None, Field(description="month to be scored on; by default the latest published")
    ] = None
    month: Annotated[
        Month | Literal["latest"] | None,
        Field(description="month to predict, for `baton predict`: YYYY-MM or latest; or `test`"),
    ] = None
    source: Annotated[
        str,
        AfterValidator(_source),
        Field(
            repr=False,
            description="folder, Parquet file or address of the records; TLC's by default",
        ),
    ] = PUBLIC
    features: Annotated[
        Features,
        Field(
            description="what the model sees: all; pair (both places as one, and the distance); "
            "ids (places and passengers)"
        ),
    ] = Features.ALL
    min_minutes: Annotated[float, Field(ge=0, description="shortest trip that counts")] = 1.0
    max_minutes: Annotated[float, Field(gt=0, description="longest trip that counts")] = 60.0
    seed: Annotated[int, Field(ge=0, lt=2**32, description="seed of the model")] = 0

    @model_validator(mode="after")
    def _ordered(self) -> TaxiParams:
        if self.max_minutes <= self.min_minutes:
            raise ValueError("max_minutes must be more than min_minutes")
        if self.train and self.test and self.train >= self.test:
            raise ValueError(f"test ({self.test}) must be a month after train ({self.train})")
        return self

    @property
    def test_month(self) -> str:
        """Month to be scored on."""
        if self.test:
            return self.test
        return _moved(self.train, 1) if self.train else _latest()

    @property
    def months(self) -> dict[str, str]:
        """Month of each side."""
        train = self.train or _moved(self.test_month, -1)
        return {Split.TRAIN.value: train, Split.TEST.value: self.test_month}

    @property
    def month_to_predict(self) -> str:
        """Month whose trips are predicted."""
        return _latest() if self.month == "latest" else self.month or self.test_month


def _moved(month: str, by: int) -> str:
    count = int(month[:4]) * 12 + int(month[5:]) - 1 + by
    return f"{count // 12:04}-{count % 12 + 1:02}"


def _latest() -> str:
    """Latest month that is surely published: TLC is about two months late."""
    return _moved(date.today().strftime("%Y-%m"), -_MONTHS_UNTIL_PUBLISHED)


def processing(
    raw: pd.DataFrame, params: TaxiParams, *, with_target: bool
) -> tuple[pd.DataFrame, pd.Series | None]:
    """Features of trips and, where it is known and asked for, their duration.

    Parameters
    ----------
    raw : DataFrame
        Trips, in TLC's columns.
    params : TaxiParams
    with_target : bool
        Whether to compute the duration and leave out trips that are too short or too long.

    Returns
    -------
    DataFrame of shape (n, k), indexed by the trip's position in `raw`
    Series of shape (n,) in min, or None
    """
    trips = raw.reset_index(drop=True)
    if with_target:
        trips = filter_outliers(compute_target(trips, params.colour), params)
    return extract_x_y(encode_categorical_columns(trips), params, with_target=with_target)


def compute_target(trips: pd.DataFrame, colour: Colour) -> pd.DataFrame:
    """Duration of each trip, in min, as column `TARGET`."""
    lasted = trips[f"{colour.prefix}_dropoff_datetime"] - trips[f"{colour.prefix}_pickup_datetime"]
    return trips.assign(**{TARGET: lasted.dt.total_seconds() / 60})


def filter_outliers(trips: pd.DataFrame, params: TaxiParams) -> pd.DataFrame:
    """Trips of a duration that counts, both ends included."""
    return trips[trips[TARGET].between(params.min_minutes, params.max_minutes)]


def encode_categorical_columns(trips: pd.DataFrame) -> pd.DataFrame:
    """Ids as text, unknown ones as −1: a number would be taken for a quantity."""
    ids = [*IDS, "passenger_count"]
    return trips.assign(**{name: _as_text(trips[name]) for name in ids})


def _as_text(values: pd.Series) -> pd.Series:
    return values.fillna(-1).astype("int64").astype("str")


def extract_x_y(
    trips: pd.DataFrame, params: TaxiParams, *, with_target: bool
) -> tuple[pd.DataFrame, pd.Series | None]:
    """Columns that the model sees, and the target."""
    import pandas as pd

    places = {name: trips[name].astype("category") for name in IDS}
    distance = {"trip_distance": trips["trip_distance"].astype(float)}
    match params.features:
        case Features.PAIR:
            pair = trips[IDS[0]] + "_" + trips[IDS[1]]
            columns: dict[str, Any] = {"PU_DO": pair.astype("category"), **distance}
        case Features.IDS:
            columns = {**places, "passenger_count": trips["passenger_count"].astype("category")}
        case Features.ALL:
            pickup = trips[f"{params.colour.prefix}_pickup_datetime"]
            columns = {
                **places,
                **distance,
                "hour": pickup.dt.hour + pickup.dt.minute / 60,
                "weekday": pickup.dt.weekday.astype("str").astype("category"),
            }
    return pd.DataFrame(columns), trips[TARGET] if with_target else None


class Taxi(SourcedProblem[TaxiParams]):
    """Durations of taxi trips, trained on one month and scored on a later one."""

    name = "taxi"
    summary = "durations of New York's taxi trips, learnt from one month, scored on the next"
    params = TaxiParams

    def sources(self, params: TaxiParams) -> tuple[str, ...]:  # noqa: ARG002
        """Trips of both months."""
        return (Split.TRAIN.value, Split.TEST.value)

    def fingerprint(self, params: TaxiParams) -> str:
        """Digest of the files' content, or of what TLC's server says of them."""
        marks = [_mark(params, month) for month in params.months.values()]
        return hashlib.sha256("".join(marks).encode()).hexdigest()

    def forget(self, params: TaxiParams) -> None:
        """Forget the downloads of which the server has another version now."""
        for month in params.months.values() if _is_remote(params) else ():
            with _explained(month):
                download.forget(_url(params, month), _folder())

    def read(self, params: TaxiParams, source: str) -> pd.DataFrame:
        """Trips of a month, in TLC's columns."""
        return _trips(params, params.months[source])

    def join(self, params: TaxiParams, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:  # noqa: ARG002
        """Trips of both months, marked in the column `SPLIT`."""
        import pandas as pd

        sides = [tables[side.value].assign(**{SPLIT: side.value}) for side in Split]
        return pd.concat(sides, ignore_index=True)

    def contract(self, params: TaxiParams) -> DataFrameSchema:
        """Times, places and distances of TLC's types, with some of them missing."""
        from pandera.pandas import Column, DataFrameSchema

        times = {
            f"{params.colour.prefix}_{end}_datetime": Column("datetime64[us]", nullable=True)
            for end in ("pickup", "dropoff")
        }
        numbers = [*IDS, "passenger_count", "trip_distance"]
        return DataFrameSchema(
            times
            | {name: Column(float, nullable=True) for name in numbers}
            | {SPLIT: Column(str, required=False)},
            strict=True,
        )

    def kind(self, params: TaxiParams) -> Kind:  # noqa: ARG002
        """Numbers."""
        return Kind.REGRESSION

    def goal(self, raw: pd.DataFrame, params: TaxiParams) -> Goal:
        """Predict the minutes."""
        kept = filter_outliers(compute_target(raw, params.colour), params)[SPLIT].value_counts()
        every = raw[SPLIT].value_counts()
        notes = tuple(
            f"{kept.get(side, 0):,} of {every.get(side, 0):,} trips of {month} took "
            f"{params.min_minutes:g} to {params.max_minutes:g} minutes and are kept"
            for side, month in params.months.items()
        )
        return Goal(
            Kind.REGRESSION,
            TARGET,
            headline="rmse",
            notes=notes,
            model="xgboost",
            model_params=XGBOOST | {"encoding": "native", "max_cat_to_onehot": 4},
        )

    def features(
        self, raw: pd.DataFrame, params: TaxiParams, *, with_target: bool = True
    ) -> pd.DataFrame:
        """Places, distance and time of the pick-up; the duration if asked for."""
        table, target = processing(raw, params, with_target=with_target)
        if target is not None:
            table[TARGET] = target
        table.insert(0, ROW, table.index)
        return table.reset_index(drop=True)

    def split(self, features: pd.DataFrame, raw: pd.DataFrame, params: TaxiParams) -> pd.Series:
        """Split by month."""
        sides = raw[SPLIT].to_numpy()[features[ROW]]
        for side, month in params.months.items():
            if not (sides == side).any():
                raise InputError(
                    f"no trip of {month} took {params.min_minutes:g} to {params.max_minutes:g} "
                    "minutes; choose another month or other limits"
                )
        return marked(features.index, sides == Split.TEST.value)

    def unseen_fingerprint(self, params: TaxiParams) -> str:
        """Digest of the file of the month to predict."""
        return _mark(params, params.month_to_predict)

    def unseen(self, params: TaxiParams) -> pd.DataFrame:
        """Trips of the month to predict: those that have only begun, too."""
        return _trips(params, params.month_to_predict, with_target=False)


def _trips(params: TaxiParams, month: str, *, with_target: bool = True) -> pd.DataFrame:
    """Columns of use of a month's trips, of the same types in every month."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = _file(params, month)
    prefix = params.colour.prefix
    ends = ("pickup", "dropoff") if with_target else ("pickup",)
    times = [f"{prefix}_{end}_datetime" for end in ends]
    names = [*times, *IDS, "passenger_count", "trip_distance"]
    try:
        table = pq.read_table(path, columns=names).select(names)
        types = [pa.timestamp("us")] * len(times) + [pa.float64()] * 4
        schema = pa.schema(list(zip(names, types, strict=True)))
        trips: pd.DataFrame = table.cast(schema, safe=False).to_pandas()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"{path} holds no records of {params.colour.value} taxis ({reason}); give TLC's file"
        ) from None
    if Path(params.source).is_file():  # one file of several months
        trips = trips[trips[times[0]].dt.strftime("%Y-%m") == month].reset_index(drop=True)
    if trips.empty:
        raise InputError(f"{path} holds no trip of {month}; choose another month")
    return trips


def _name(params: TaxiParams, month: str) -> str:
    return f"{params.colour.value}_tripdata_{month}.parquet"


def _is_remote(params: TaxiParams) -> bool:
    return params.source.startswith("http")


def _folder() -> Path:
    return settings().home / "downloads"


def _file(params: TaxiParams, month: str) -> Path:
    """File of a month, downloaded if it is not there."""
    if not _is_remote(params):
        return _local(params, month)
    with _explained(month):
        return download.download(_url(params, month), _folder(), _verify)


def _url(params: TaxiParams, month: str) -> str:
    return f"{params.source}/{_name(params, month)}"


@contextmanager
def _explained(month: str) -> Iterator[None]:
    """Add what to do where a month is not there, or the network is away."""
    try:
        yield
    except InputError as error:
        raise InputError(
            f"{error}: TLC publishes about two months late; choose an earlier month than {month}, "
            f"{_OFFLINE}"
        ) from None
    except ConnectionError as error:
        raise ConnectionError(f"{error}: check the network, {_OFFLINE}") from None


def _local(params: TaxiParams, month: str) -> Path:
    source = Path(params.source)
    path = source / _name(params, month) if source.is_dir() else source
    if not path.is_file():
        raise InputError(
            f"there is no {path}: give the folder of TLC's files by -p source=FOLDER, "
            f"or leave source out to download them from {PUBLIC}"
        )
    return path


def _mark(params: TaxiParams, month: str) -> str:
    """What changes when a month's records change."""
    if not _is_remote(params):
        return digest_of_file(_local(params, month))
    with _explained(month):
        found = download.describe(_url(params, month), _folder())
    return f"{found.url} {found.size} {found.etag}"


def _verify(path: Path) -> None:
    """Read the Parquet footer, which is written last."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        pq.read_metadata(path)
    except pa.ArrowInvalid as error:
        raise ValueError(" ".join(str(error).split())[:100]) from None


problem = Taxi()
