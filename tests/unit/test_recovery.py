"""Deciding what a crash left behind."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from baton.chain.recovery import ATTEMPTS, Run, abandoned, unanswered

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LONG_AGO = NOW - timedelta(minutes=10)
RUN = Run("1", "train", "c", "RUNNING", LONG_AGO, "here", 1)
NEXT = {"train": ["evaluate"]}


def _next(run):
    return NEXT.get(run.stage, ())


def _abandoned(run, alive=False):
    return abandoned([run], "here", lambda _: alive, NOW) == [run]


def test_a_running_run_without_a_living_process_is_abandoned():
    """Its lock is free, so its process has ended."""
    assert _abandoned(RUN)
    assert not _abandoned(RUN, alive=True)


@pytest.mark.parametrize(
    "change",
    [{"state": "COMPLETED"}, {"state": "SCHEDULED"}, {"home": "elsewhere"}, {"since": NOW}],
)
def test_a_run_that_may_still_be_going_is_left_alone(change):
    """A run of another machine, a fresh one and one that is not going are not ours to judge."""
    assert not _abandoned(replace(RUN, **change))


def test_a_run_that_never_came_to_its_first_line_is_given_up_after_a_minute():
    """It has no home yet, so only time can tell."""
    silent = replace(RUN, home="", state="PENDING")
    assert _abandoned(silent)
    assert not _abandoned(replace(silent, since=NOW - timedelta(seconds=30)))


def test_a_completed_run_that_nothing_followed_is_unanswered():
    """Its event came to nothing."""
    done = replace(RUN, state="COMPLETED")
    assert unanswered([done], _next, NOW) == [done]
    successor = replace(RUN, id="2", stage="evaluate", state="SCHEDULED")
    assert unanswered([done, successor], _next, NOW) == []


@pytest.mark.parametrize(
    "change",
    [
        {"stage": "evaluate"},
        {"state": "FAILED"},
        {"since": NOW},
        {"attempts": ATTEMPTS},
        {"chain": ""},
    ],
)
def test_what_has_no_successor_for_a_good_reason_is_left_alone(change):
    """The last stage, a failed one, a fresh one and one tried often enough."""
    assert unanswered([_done(change)], _next, NOW) == []


def _done(change):
    return replace(replace(RUN, state="COMPLETED"), **change)


def test_successors_of_another_chain_do_not_count():
    """Each chain is judged by its own runs."""
    done = _done({})
    other = replace(RUN, id="2", stage="evaluate", chain="other")
    assert unanswered([done, other], _next, NOW) == [done]
