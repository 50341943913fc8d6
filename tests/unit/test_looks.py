"""When drift that was found is announced, and the log of looks."""

from datetime import UTC, datetime, timedelta

from baton.chain import looks
from baton.chain.looks import Look
from baton.settings import Settings

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def _look(chain="c", *, minutes_ago=0, **change):
    facts = {"version": 1, "is_drifted": True, "reason": "x moved"} | change
    return Look(chain=chain, at=NOW - timedelta(minutes=minutes_ago), **facts)


def _held_back(*log, **change):
    return looks.held_back(log, NOW, HOUR, **{"version": 1, "champion": 1} | change)


def test_drift_is_announced_once_in_a_cool_down():
    """What was found and held back does not count, nor what is longer ago."""
    assert not _held_back()
    assert "is again after 1:00:00" in _held_back(_look(minutes_ago=59))
    assert not _held_back(_look(minutes_ago=60))
    assert not _held_back(_look(minutes_ago=1, held_back="a chain runs"))
    assert not _held_back(_look(minutes_ago=1, is_drifted=False))
    assert _held_back(_look(minutes_ago=90), _look(minutes_ago=30))


def test_drift_of_the_rows_of_a_former_champion_is_not_announced():
    """The present one may know them well; where there is no champion, the newest counts."""
    assert _held_back(champion=2) == "version 1 predicted, and version 2 is the champion"
    assert not _held_back(champion=None)


def test_drift_is_not_announced_while_a_chain_of_the_problem_runs():
    """It may be about to mend it."""
    assert _held_back(going="3f9c1a2b4d5e") == "chain 3f9c1a2b4d5e of the problem is not over"


def test_the_log_holds_a_look_once_and_passes_over_what_is_damaged(tmp_path):
    """Whoever looks again at the same predictions finds what was found."""
    settings = Settings(home=tmp_path)
    later, first = _look("b"), _look("a", minutes_ago=5)
    for one in (later, first, later):
        looks.append(settings, "baton-x", one)
    (looks.folder(settings, "baton-x") / "c.json").write_text("{torn")
    assert looks.read(settings, "baton-x") == [first, later]
    assert looks.read(settings, "baton-y") == []
