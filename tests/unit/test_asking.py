"""When a server is asked for runs."""

import asyncio
import time

import pytest

from serving.asking import SELDOM_SECONDS, Pace

OFTEN = 0.5
LOOPS = []


class Clock:
    """A clock that is moved by hand."""

    now = 0.0

    def __call__(self):
        """Seconds."""
        return self.now


@pytest.fixture
def clock():
    """A clock at its beginning."""
    return Clock()


@pytest.fixture(autouse=True)
def loop():
    """One event loop for all of a test."""
    with asyncio.Runner() as runner:
        LOOPS.append(runner)
        yield
        LOOPS.pop()


@pytest.fixture
def pace(clock):
    """A pace whose first question was answered by nothing, on a server that is heard."""
    made = Pace(OFTEN, clock)
    made.hears(True)
    asked(made)
    return made


def asked(pace, *due, told=None, left=False):
    """Ask as soon as it is time to, and be answered so; seconds until it was."""

    async def ask():
        began = time.monotonic()
        await pace.due()
        return time.monotonic() - began

    seconds = LOOPS[-1].run(ask())
    pace.answered(due, due if told is None else told, are_left=left)
    return seconds


def is_at_once(pace):
    """Whether the next question is asked now."""

    async def ask():
        try:
            await asyncio.wait_for(pace.due(), 0.1)
        except TimeoutError:
            return False
        return True

    return LOOPS[-1].run(ask())


def test_it_is_asked_at_once_when_it_tells_of_a_run(pace):
    """And not before: a server that is heard is asked every few seconds."""
    assert pace.pause() == SELDOM_SECONDS
    assert not is_at_once(pace)
    pace.answered((), (), are_left=False)
    pace.told("a")
    assert is_at_once(pace)


def test_it_is_asked_often_while_it_is_not_heard():
    """From the beginning, and when the connection has ended."""
    pace = Pace(OFTEN)
    assert is_at_once(pace), "the first question"
    pace.answered((), (), are_left=False)
    assert pace.pause() == OFTEN
    for does, seconds in ((True, SELDOM_SECONDS), (False, OFTEN)):
        pace.hears(does)
        assert is_at_once(pace), "for what was said meanwhile"
        pace.answered((), (), are_left=False)
        assert pace.pause() == seconds


def test_a_run_that_is_told_of_before_it_is_there_is_asked_for_again(pace):
    """Soon, then later, then no more: it may be somebody else's by then."""
    pace.told("a")
    pauses = []
    for _ in range(6):
        asked(pace)
        pauses.append(pace.pause())
    assert pauses == sorted(pauses)
    assert pauses[0] < 0.1
    assert pauses[-1] == SELDOM_SECONDS
    pace.told("b")
    asked(pace, "b")
    assert pace.pause() == SELDOM_SECONDS


def test_a_run_that_waits_for_room_begins_when_another_ends(pace):
    """Nothing is asked for meanwhile but as often as before."""
    asked_for = (lambda: asked(pace, "a", "b", left=True), pace.full)
    pace.told("a")
    for wait in asked_for:
        wait()
        assert pace.pause() == OFTEN
        assert not is_at_once(pace)
        pace.full()
        pace.ended()
        assert is_at_once(pace)
    pace.answered((), (), are_left=False)
    pace.ended()
    assert not is_at_once(pace), "nothing waits"


def test_a_question_without_an_answer_is_not_repeated_at_once(pace):
    """A server that is away is not asked by every event that it had sent."""
    pace.told("a")
    assert is_at_once(pace)
    pace.told("b")
    assert not is_at_once(pace)


def test_what_is_found_but_not_heard_of_has_it_asked_often(pace, clock):
    """As with a server that sends no events, or whose clock is another: until one is heard."""
    pace.answered(("b",), ("b",), are_left=False)
    assert pace.pause() == SELDOM_SECONDS, "it may be on its way"
    clock.now += 3
    assert pace.pause() == OFTEN
    pace.told("b")
    pace.answered((), (), are_left=False)
    for _ in range(6):
        pace.answered((), (), are_left=False)
    assert pace.pause() == OFTEN, "too late"
    pace.told("c")
    pace.answered(("c",), ("c",), are_left=False)
    assert pace.pause() == SELDOM_SECONDS


def test_runs_that_nobody_tells_of_are_not_missed(pace, clock):
    """Those of schedules, those that stood before, and those that are told of a moment later."""
    pace.answered(("of a schedule",), (), are_left=False)
    pace.hears(True)
    pace.answered(("from before",), ("from before",), are_left=False)
    pace.answered(("soon",), ("soon",), are_left=False)
    pace.told("soon")
    pace.answered(("soon",), ("soon",), are_left=False)
    clock.now += 3
    assert pace.pause() == SELDOM_SECONDS
