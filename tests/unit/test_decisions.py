"""The log of champions: read as one table, in order, and what is damaged is named."""

from datetime import UTC, datetime
from itertools import pairwise

import pandas as pd
import pytest

from baton.chain import decisions
from baton.chain.decisions import Decision, Outcome
from baton.errors import InputError
from baton.settings import Settings

NAME = "baton-iris"


@pytest.fixture
def home(tmp_path):
    """Settings of a home of its own."""
    return Settings(home=tmp_path)


def decided(home, outcome, version, champion, by="gate", previous=None, digest=""):
    """One entry, written down and closed."""
    entry = Decision(
        number=decisions.next_number(decisions.read(home, NAME)),
        at=datetime.now(UTC),
        model=NAME,
        outcome=outcome,
        version=version,
        champion=champion,
        previous=previous,
        digest=digest,
        by=by,
        reason="because",
        value=0.9,
    )
    decisions.intend(home, entry)
    decisions.append(home, entry)
    return entry


def test_entries_are_read_in_their_order_as_they_were_written(home):
    """Each has its number; pandas reads the folder as one table, an intent left aside."""
    assert decisions.read(home, NAME) == ()
    written = [decided(home, Outcome.PROMOTED, n, n) for n in range(1, 13)]
    found = decisions.read(home, NAME)
    assert list(found) == written
    assert all(after.number == before.number + 1 for before, after in pairwise(found))
    decisions.intend(home, written[-1].model_copy(update={"number": 13}))
    assert decisions.intended(home, NAME).number == 13
    table = pd.read_parquet(decisions.place(home, NAME))
    assert table["version"].tolist() == list(range(1, 13))


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + b"\0" * 200 + b"PAR1"])
def test_a_damaged_entry_is_named(home, content):
    """Whatever is in the file: which one it is, and what to do."""
    for n in (1, 2, 3):
        decided(home, Outcome.PROMOTED, n, n)
    (decisions.place(home, NAME) / "000002.parquet").write_bytes(content)
    with pytest.raises(InputError, match=r"000002.parquet is no whole decision: put it back"):
        decisions.read(home, NAME)


def test_a_version_is_withdrawn_until_somebody_brings_it_back(home):
    """A rejection in between changes nothing of that."""
    decided(home, Outcome.PROMOTED, 1, 1)
    decided(home, Outcome.PROMOTED, 2, 2)
    assert decisions.withdrawn(decisions.read(home, NAME), 2) == ""
    decided(home, Outcome.ROLLED_BACK, 2, 1, by="ada")
    decided(home, Outcome.REJECTED, 2, 1)
    known = decisions.read(home, NAME)
    assert decisions.withdrawn(known, 2).startswith("by ada on ")
    assert decisions.withdrawn(known, 1) == ""
    decided(home, Outcome.PROMOTED, 2, 2, by="ada")
    assert decisions.withdrawn(decisions.read(home, NAME), 2) == ""


def test_the_same_model_under_another_number_is_withdrawn_too(home):
    """Its chain may register it again; and whom a person puts behind another is withdrawn."""
    decided(home, Outcome.PROMOTED, 1, 1, digest="a")
    decided(home, Outcome.PROMOTED, 2, 2, previous=1, digest="b")
    decided(home, Outcome.ROLLED_BACK, 2, 1, by="ada", digest="b")
    known = decisions.read(home, NAME)
    assert decisions.withdrawn(known, 5, "b")
    assert not decisions.withdrawn(known, 5, "c")
    decided(home, Outcome.PROMOTED, 3, 3, previous=1, digest="c")
    decided(home, Outcome.PROMOTED, 1, 1, by="ada", previous=3, digest="a")
    known = decisions.read(home, NAME)
    assert decisions.withdrawn(known, 3, "c")
    assert not decisions.withdrawn(known, 1, "a")


def test_what_was_measured_of_a_version_is_known_again(home):
    """For a person who decides about it later; nothing of what never was measured."""
    decided(home, Outcome.REJECTED, 2, 1)
    known = decisions.read(home, NAME)
    assert decisions.scored(known, 2)["value"] == 0.9
    assert decisions.scored(known, 3) == {}
