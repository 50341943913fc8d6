"""Many pictures, drawn at the same time."""

import os
import signal
import sys
import threading

import numpy as np
import pytest

from baton.evaluation.importance import Importance
from baton.settings import settings
from baton.showing import drawing, plots
from baton.showing.plots.picture import styled

pytestmark = pytest.mark.usefixtures("fast_paths")

N_PICTURES = 7

forks = pytest.mark.skipif(sys.platform != "linux", reason="only there is forking safe")


def picture(place):
    """A picture that no other looks like."""
    raw = np.random.default_rng(place).normal(0.1, 0.1, (3, 5))
    names = tuple(f"column {place} {one}" for one in range(3))
    return plots.permutation_importance(Importance(raw.mean(1), raw.std(1), raw, names, "f1", 0.9))


def draws(do=lambda place: None):
    """Draw each, after something else was done."""

    def drawn(place):
        do(place)
        return picture(place)

    return [lambda place=place: drawn(place) for place in range(N_PICTURES)]


@pytest.fixture
def cores(monkeypatch):
    """Three cores, wherever this runs."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2}, raising=False)
    monkeypatch.setattr(drawing, "_FEWEST_PICTURES", 2)


@pytest.fixture
def one_by_one():
    """The pictures as they are when each is drawn by itself."""
    return [plots.png(picture(place).figure) for place in range(N_PICTURES)]


@forks
def test_pictures_drawn_at_the_same_time_are_the_same(cores, one_by_one, monkeypatch):
    """As many processes draw as there are cores, in order, and BATON_FAST=0 draws here."""
    main, seen = os.getpid(), []
    found = drawing.drawn(draws(seen.append))
    assert [one.png for one in found] == one_by_one
    assert seen == [0, 3, 6]
    monkeypatch.setenv("BATON_FAST", "0")
    settings.cache_clear()
    try:
        found = drawing.drawn(draws(lambda place: seen.append(os.getpid())))
    finally:
        monkeypatch.undo()
        settings.cache_clear()
    assert [one.png for one in found] == one_by_one
    assert seen[3:] == [main] * N_PICTURES


@forks
@pytest.mark.parametrize(
    "ended", [lambda: os.kill(os.getpid(), signal.SIGKILL), lambda: threading.Event().wait()]
)
def test_what_a_fork_does_not_draw_is_drawn_here(cores, one_by_one, ended, monkeypatch):
    """A fork that dies or hangs costs time, not a picture."""
    main = os.getpid()
    monkeypatch.setattr(drawing, "_PATIENCE_SECONDS", 0.5)
    found = drawing.drawn(draws(lambda place: place == 1 and os.getpid() != main and ended()))
    assert [one.png for one in found] == one_by_one


@forks
def test_where_nothing_more_may_be_forked_all_is_drawn_here(cores, one_by_one, monkeypatch):
    """A limit on processes costs time, not a picture."""

    def refuse():
        raise BlockingIOError("Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", refuse)
    assert [one.png for one in drawing.drawn(draws())] == one_by_one


@forks
def test_a_failure_in_a_fork_is_told(cores, capfd):
    """It is met again here, as if nothing had been forked."""

    def fail(place):
        if place == 1:
            raise ValueError("no such colour")

    with pytest.raises(ValueError, match="no such colour"):
        drawing.drawn(draws(fail))
    assert "Traceback" not in capfd.readouterr().err


@forks
def test_forks_draw_while_other_threads_draw(cores, one_by_one):
    """No lock that another thread holds is waited for in a fork."""
    is_over = threading.Event()

    def draw_on():
        while not is_over.is_set():
            plots.png(picture(0).figure)

    other = threading.Thread(target=draw_on)
    other.start()
    try:
        found = drawing.drawn(draws())
    finally:
        is_over.set()
        other.join()
    assert [one.png for one in found] == one_by_one


def test_what_there_is_no_picture_of_is_none(cores):
    """The others stay in their places."""
    found = drawing.drawn([lambda: None, lambda: picture(1), lambda: None, lambda: picture(2)])
    name = "permutation_importance"
    assert [one and one.name for one in found] == [None, name, None, name]


def test_a_drawing_within_another_sets_the_style_once():
    """It is what takes a millisecond; afterwards the user's is back."""
    import matplotlib

    before = matplotlib.rcParams["font.size"]
    with styled():
        inside = matplotlib.rcParams["font.size"]
        with styled():
            assert matplotlib.rcParams["font.size"] == inside
        assert matplotlib.rcParams["font.size"] == inside
    assert matplotlib.rcParams["font.size"] == before
