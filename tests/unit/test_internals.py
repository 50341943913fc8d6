"""Reaching behind a library's public face: by leave, and never fatally."""

import logging

import pytest

from baton.internals import GONE, reach


@reach("the library has no bell: it is knocked")
def ring(bell):
    return bell()


def _raise(error):
    raise error


def test_a_reach_returns_what_it_found():
    """Where the name is there, nothing comes between."""
    assert ring(lambda: "rung") == "rung"


@pytest.mark.parametrize("gone", GONE)
def test_a_name_that_is_gone_is_said_once(caplog, gone):
    """With what is slower now; the caller gets None and takes the public way."""
    assert [ring(lambda: _raise(gone("bell"))) for _ in range(3)] == [None] * 3
    assert caplog.record_tuples == [
        (__name__, logging.WARNING, "the library has no bell: it is knocked (bell)")
    ]


def test_other_errors_are_not_swallowed():
    """A reach that does its work and fails, fails."""
    with pytest.raises(OSError, match="broken"):
        ring(lambda: _raise(OSError("broken")))


def test_the_switch_lets_nothing_reach(caplog, no_internals):
    """BATON_INTERNALS=0: no attempt, and no warning of what was asked for."""
    assert ring(lambda: pytest.fail("it reached")) is None
    assert not caplog.records
