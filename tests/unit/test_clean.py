"""What `baton clean` says, and when it asks."""

import io
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from baton.chain.leftovers import Busy, Item, Kind
from baton.cli import cleaning
from baton.errors import InputError

ITEMS = (
    Item(Kind.RESULT, Path("a"), 3 * 2**20, "iris"),
    Item(Kind.RESULT, Path("b"), 2**19, "iris"),
    Item(Kind.LOCK, Path("c"), 0),
)
FOUND = SimpleNamespace(items=ITEMS, n_bytes=3 * 2**20 + 2**19, passed=(), busy=Busy())


@pytest.fixture
def said(monkeypatch):
    """What is printed, as on a terminal."""
    written = io.StringIO()
    monkeypatch.setattr(cleaning, "OUT", Console(file=written, width=100, force_terminal=True))
    return written


@pytest.mark.parametrize(
    ("written", "age"),
    [
        ("30d", timedelta(days=30)),
        ("12 hours", timedelta(hours=12)),
        ("90min", timedelta(minutes=90)),
        ("0d", timedelta(0)),
        ("0", timedelta(0)),
    ],
)
def test_an_age_is_a_number_and_a_unit(written, age):
    """Short or in words; none at all is an age, too."""
    assert cleaning._age(written) == age


@pytest.mark.parametrize("written", ["", "soon", "-1d", "30", "d", "99999d"])
def test_what_is_no_age_is_refused(written):
    """In a line that says what one is."""
    with pytest.raises(InputError, match="--older-than: a span of time is"):
        cleaning._age(written)


@pytest.mark.parametrize(
    ("is_terminal", "answer", "is_agreed"),
    [
        (True, "y", True),
        (True, " YES ", True),
        (True, "", False),
        (True, "n", False),
        (False, "y", False),
    ],
)
def test_a_person_is_asked_where_there_is_one(said, monkeypatch, is_terminal, answer, is_agreed):
    """Only yes is yes; in a pipe nobody is asked, and nothing is removed."""
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: is_terminal))
    monkeypatch.setattr("builtins.input", lambda *_: answer)
    assert cleaning._is_agreed(FOUND, False) is is_agreed
    assert ("remove 3 things, 3.5 MB? [y/N]" in said.getvalue()) is is_terminal
    assert cleaning._is_agreed(FOUND, True) is False


def test_what_is_found_is_a_table_by_kind(said):
    """With what each is of, how many and how large, and the sum."""
    cleaning._tell(FOUND, as_json=False)
    lines = [" ".join(line.replace("│", " ").split()) for line in said.getvalue().splitlines()]
    assert any("folder of results iris 2 3.5 MB" in line for line in lines)
    assert any("lock that nobody holds 1 0 B" in line for line in lines)
    assert any("all 3 3.5 MB" in line for line in lines)


@pytest.mark.parametrize(
    ("removed", "is_wanted", "end"),
    [
        (ITEMS, True, "removed 3 things, 3.5 MB"),
        (
            ITEMS[:1],
            True,
            "removed 1 thing, 3.0 MB; 2 things stayed: a chain has begun, or holds it",
        ),
        ((), False, "nothing was removed: add --yes to remove it"),
    ],
)
def test_the_end_says_what_was_removed_and_what_stayed(said, removed, is_wanted, end):
    """In one line."""
    cleaning._tell_end(FOUND, removed, is_wanted=is_wanted, as_json=False)
    assert said.getvalue().strip() == end
