"""Periods: reading them, going through them, putting them into parameters."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baton.chain import periods
from baton.errors import InputError


@pytest.mark.parametrize(
    ("start", "end", "found"),
    [
        ("2021", "2022", ["2021", "2022"]),
        ("2021-12", "2022-01", ["2021-12", "2022-01"]),
        ("2024-02-28", "2024-03-01", ["2024-02-28", "2024-02-29", "2024-03-01"]),
        ("2021-12-31T23", "2022-01-01T00", ["2021-12-31T23", "2022-01-01T00"]),
        ("2021-03", "2021-03", ["2021-03"]),
    ],
)
def test_periods_from_one_to_another(start, end, found):
    """Both included, over the ends of months and years."""
    assert periods.between(start, end) == found


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        ("2021-13", "2021-14", "'2021-13' is no period"),
        ("2021-02-30", "2021-03-01", "'2021-02-30' is no period"),
        ("march", "2021-03", "'march' is no period"),
        ("2021", "2021-03", "2021 is a year and 2021-03 a month"),
        ("2021-03", "2021-02", "--end 2021-02 is before --start 2021-03"),
        ("1000-01-01", "2021-01-01", "there are more than 10,000 periods"),
    ],
)
def test_what_is_no_range_of_periods_is_refused_in_one_line(start, end, said):
    """With what to give instead."""
    with pytest.raises(InputError) as error:
        periods.between(start, end)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@given(st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)), st.sampled_from(periods.Unit))
def test_the_last_whole_period_is_over_and_the_next_is_not(at, unit):
    """A scheduled run predicts what will not change any more."""
    at = at.replace(tzinfo=UTC)
    found = periods.settled(unit, at)
    assert periods.parse(found)[0] is unit
    begin = periods.parse(found)[1]
    longest = timedelta(days=366) if unit is periods.Unit.YEAR else timedelta(days=31)
    assert at - 2 * longest < begin < at
    later = periods.settled(unit, begin + (at - begin) + 2 * longest)
    assert len(periods.between(found, later)) > 1


def test_the_period_is_put_in_wherever_it_stands():
    """In nested parameters, too; what does not depend on it is left as it is."""
    given = {"path": "a/{period}/{period}.csv", "more": {"sql": ["x = '{period}'", 1, None]}}
    assert periods.filled(given, "2021") == {
        "path": "a/2021/2021.csv",
        "more": {"sql": ["x = '2021'", 1, None]},
    }
    assert periods.is_named(given)
    assert not periods.is_named({"path": "a.csv", "n": 3})
