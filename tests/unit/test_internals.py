"""Reaching behind a library, and the public way where that fails."""

import logging

import pytest

from baton import internals
from baton.internals import reach
from baton.settings import settings


@pytest.fixture(autouse=True)
def nothing_said():
    """A warning that another test gave is given again."""
    internals._warn.cache_clear()


def gone():
    raise AttributeError("no such name")


def test_the_faster_way_is_taken(caplog):
    """Nothing is said where the name is there."""
    assert reach("it", lambda: "within", lambda: "public") == "within"
    assert not caplog.records


def test_a_name_that_is_gone_costs_speed_and_one_warning(caplog):
    """The public way answers, and the log says once that it is slower."""
    with caplog.at_level(logging.WARNING):
        answers = [reach("it", gone, lambda: "public") for _ in range(3)]
    assert answers == ["public"] * 3
    (record,) = caplog.records
    assert "it is not as Baton knows it (no such name)" in record.getMessage()


def test_what_is_wrong_otherwise_is_not_hidden():
    """An error of another type is the caller's."""
    with pytest.raises(ZeroDivisionError):
        reach("it", lambda: 1 / 0, lambda: "public")


def test_internals_can_be_switched_off(monkeypatch, caplog):
    """With BATON_INTERNALS=0 the public way is taken, without a warning."""
    monkeypatch.setenv("BATON_INTERNALS", "0")
    settings.cache_clear()
    try:
        assert reach("it", gone, lambda: "public") == "public"
    finally:
        settings.cache_clear()
    assert not caplog.records
