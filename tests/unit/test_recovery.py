"""Deciding what a crash left behind."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from baton.chain import recovery
from baton.chain.recovery import (
    ATTEMPTS,
    RESTARTS,
    SILENCE,
    SILENCE_OF_CONTAINER,
    SILENCE_ON_WORKER,
    TEMPORARY,
    Action,
    Run,
    Subflow,
    abandoned,
    answered,
    judge,
    orphaned,
    unanswered,
    unheard,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LONG_AGO = NOW - timedelta(minutes=10)
RUN = Run("1", "train", "c", "RUNNING", LONG_AGO, "here", 1)
NEXT = {"train": ["evaluate"]}
BEGUN = {"promote": [("begun", "predict")]}
RUNNER_SAYS = "Process exited with status code: {}. Some explanation."
WORKER_SAYS = "Flow run infrastructure exited with non-zero status code {}."


def _next(run):
    return [(run.chain, stage) for stage in NEXT.get(run.stage, ())] + BEGUN.get(run.stage, [])


def _abandoned(run, alive=False, **more):
    return abandoned([run], "here", lambda _: alive, NOW, **more) == [run]


def _ago(seconds):
    return NOW - timedelta(seconds=seconds)


def _crashed(code, says=RUNNER_SAYS):
    return replace(RUN, state="CRASHED", message=says.format(code), attempts=0)


def test_a_running_run_without_a_living_process_is_abandoned():
    """Its lock is free, so its process has ended."""
    assert _abandoned(RUN)
    assert not _abandoned(RUN, alive=True)


@pytest.mark.parametrize(
    "change",
    [
        {"state": "COMPLETED"},
        {"state": "SCHEDULED"},
        {"state": "FAILED"},
        {"home": "elsewhere", "seen": NOW},
        {"since": NOW},
    ],
)
def test_a_run_that_may_still_be_going_is_left_alone(change):
    """A living run of another machine, a fresh one and one that is not going are not ours."""
    assert not _abandoned(replace(RUN, **change))


def test_a_run_that_never_came_to_its_first_line_is_given_up_after_a_minute():
    """It has no home yet, so only time can tell."""
    silent = replace(RUN, home="", state="PENDING")
    assert _abandoned(silent)
    assert not _abandoned(replace(silent, since=NOW - timedelta(seconds=30)))


def test_a_run_on_its_way_when_the_one_serve_process_began_is_taken_up_at_once():
    """Nobody else has a hand on it; where there are several serve processes, nobody can say so."""
    silent = replace(RUN, home="", state="PENDING", since=_ago(15))
    assert _abandoned(silent, alone_since=_ago(12))
    assert not _abandoned(silent, alone_since=_ago(20))
    assert not _abandoned(silent, alive=True, alone_since=_ago(12))
    assert not _abandoned(silent)


@pytest.mark.parametrize(
    ("silence", "seconds"),
    [(SILENCE, 60), (SILENCE_ON_WORKER, 120), (SILENCE_OF_CONTAINER, 600)],
)
def test_a_container_may_take_its_time(silence, seconds):
    """A pool's run is pending while its image is fetched, or its process imports."""
    pooled = replace(RUN, home="", state="PENDING", start_within=silence)
    assert not _abandoned(replace(pooled, since=_ago(seconds)))
    assert _abandoned(replace(pooled, since=_ago(seconds + 1)))


@pytest.mark.parametrize("state", ["SCHEDULED", "PENDING"])
def test_a_run_that_waits_for_a_time_far_ahead_begins_again(state):
    """The clock was set back since; its process may live, and sleeps until then."""
    run = replace(RUN, state=state, since=NOW + timedelta(hours=1))
    assert _abandoned(run)
    assert _abandoned(run, alive=True)
    assert judge(run).action is Action.BEGIN_AGAIN
    assert judge(run).reason == "it did not come to its first line; begun again"
    assert not _abandoned(replace(run, since=NOW + timedelta(seconds=59)))


def test_a_dead_run_is_found_where_the_clock_was_set_back():
    """What its state says of the time is of no use then; its lock is."""
    run = replace(RUN, since=NOW + timedelta(hours=1))
    assert _abandoned(run)
    assert not _abandoned(run, alive=True)
    assert not _abandoned(replace(run, since=NOW + timedelta(seconds=5)))
    assert not _abandoned(replace(run, home="elsewhere"))


def test_a_lost_event_is_found_where_the_clock_was_set_back():
    """It is announced again at once."""
    assert unanswered([replace(RUN, state="COMPLETED", since=NOW + timedelta(hours=1))], _next, NOW)


def test_a_run_of_a_machine_that_is_gone_is_dead_after_five_minutes_of_silence():
    """It says every half minute that it lives, to those who cannot see its lock."""
    far = replace(RUN, home="elsewhere", seen=_ago(299))
    assert not _abandoned(far)
    assert _abandoned(replace(far, seen=_ago(301)))
    assert timedelta(seconds=300) == recovery.SILENCE_ELSEWHERE


def test_a_crashed_run_is_begun_again_unless_its_process_lives():
    """The runner's word of an earlier process may come late."""
    assert _abandoned(_crashed(-9))
    assert not _abandoned(_crashed(-9), alive=True)
    far = replace(_crashed(-9), home="elsewhere")
    assert _abandoned(replace(far, seen=_ago(90)))
    assert not _abandoned(replace(far, seen=_ago(30)))


@pytest.mark.parametrize("says", [RUNNER_SAYS, WORKER_SAYS])
@pytest.mark.parametrize("code", [-9, 137, 1, -11])
def test_the_death_of_its_own_process_counts(code, says):
    """Killed, out of memory, a segmentation fault: after three of them it is given up."""
    verdict = judge(_crashed(code, says))
    assert (verdict.action, verdict.attempts, verdict.restarts) == (Action.BEGIN_AGAIN, 1, 0)
    last = replace(_crashed(code, says), attempts=ATTEMPTS - 1)
    assert judge(last).action is Action.GIVE_UP


@pytest.mark.parametrize(
    "run",
    [
        RUN,
        replace(RUN, state="PENDING"),
        _crashed(TEMPORARY),
        _crashed(-15),
        _crashed(143),
        replace(_crashed(0), message="Flow run could not start: no memory"),
    ],
)
def test_the_end_of_what_runs_it_does_not_count(run):
    """Serve process, template, worker, server: the run is begun again, and loses no attempt."""
    before = replace(run, attempts=ATTEMPTS - 1)
    verdict = judge(before)
    assert (verdict.action, verdict.attempts) == (Action.BEGIN_AGAIN, ATTEMPTS - 1)
    assert verdict.restarts == 1


def test_even_the_faults_of_others_come_to_an_end():
    """A limit far above what happens keeps a run from going round for ever."""
    verdict = judge(replace(RUN, restarts=RESTARTS))
    assert verdict.action is Action.GIVE_UP
    assert f"begun again {RESTARTS} times" in verdict.reason


def test_who_is_given_up_says_why_and_what_to_do():
    """The signal, the memory, the likely reason, the way out: in one line."""
    reason = judge(replace(_crashed(-9), attempts=2), 812 * 2**20).reason
    assert reason == (
        "its process died 3 times, the last time killed by signal 9, at most 812 MiB of memory"
        " used, likely out of memory; free memory or use fewer rows, and run it again"
    )
    assert "killed by signal 9" in judge(replace(_crashed(137), attempts=2)).reason
    assert "exit code 1; see its log" in judge(replace(_crashed(1), attempts=2)).reason


def test_a_run_that_was_to_be_cancelled_is_cancelled():
    """Its runner ended before it could."""
    gone = replace(RUN, state="CANCELLING")
    assert _abandoned(gone)
    assert judge(gone).action is Action.CANCEL


def test_a_run_that_crashed_as_it_was_cancelled_is_cancelled():
    """Its runner saw the process end and said so last."""
    gone = replace(RUN, state="CRASHED", is_cancelled=True)
    assert judge(gone).action is Action.CANCEL


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


def test_a_lost_event_is_announced_again_within_half_a_minute_then_more_slowly():
    """A busy server is not made busier."""
    assert unanswered([_done({"attempts": 0, "since": _ago(21)})], _next, NOW)
    assert not unanswered([_done({"attempts": 2, "since": _ago(70)})], _next, NOW)
    assert unanswered([_done({"attempts": 2, "since": _ago(81)})], _next, NOW)


def test_who_announced_often_enough_in_vain_is_unheard():
    """Then the chain cannot go on, and says so."""
    spent = _done({"attempts": ATTEMPTS})
    assert unheard([spent], _next, NOW) == [spent]
    assert unheard([_done({})], _next, NOW) == []
    assert unheard([replace(spent, since=_ago(60))], _next, NOW) == []


def test_what_was_followed_or_is_the_last_is_answered():
    """Nobody looks at it again."""
    done, last = _done({}), _done({"id": "3", "stage": "evaluate", "chain": "d"})
    successor = replace(RUN, id="2", stage="evaluate")
    assert answered([done, successor, last], _next) == [done, last]
    assert answered([done], _next) == []


def test_successors_of_another_chain_do_not_count():
    """Each chain is judged by its own runs."""
    done = _done({})
    other = replace(RUN, id="2", stage="evaluate", chain="other")
    assert unanswered([done, other], _next, NOW) == [done]


def test_a_chain_that_another_one_begins_is_waited_for():
    """It has an id of its own: a run of the same stage in the first one does not count."""
    done = _done({"stage": "promote"})
    other = replace(RUN, id="2", stage="predict")
    assert unanswered([done, other], _next, NOW) == [done]
    assert unanswered([done, replace(other, chain="begun")], _next, NOW) == []


@pytest.mark.parametrize("state", ["COMPLETED", "FAILED", "CRASHED", "SCHEDULED", "PENDING", ""])
def test_a_subflow_ends_with_its_parent(state):
    """Whatever became of that one."""
    inside = Subflow("1", _ago(60), state, _ago(30))
    assert orphaned([inside]) == [inside]


def test_a_subflow_of_an_earlier_process_is_an_orphan():
    """Its parent runs again; those of the parent as it runs now are not."""
    earlier = Subflow("1", _ago(60), "RUNNING", _ago(30))
    assert orphaned([earlier, Subflow("2", _ago(20), "RUNNING", _ago(30))]) == [earlier]
