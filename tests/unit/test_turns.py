"""Which runs begin where more wait than can be done at once."""

from datetime import UTC, datetime, timedelta

from baton.chain.turns import Waiting, has_room, in_turn

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def _waiting(*flows):
    return [Waiting(f"{flow} {n}", flow, NOON + timedelta(n)) for n, flow in enumerate(flows)]


def test_no_more_begin_than_there_is_room_for():
    """The rest wait."""
    assert in_turn(_waiting(*["generate"] * 5), ["train"], 3) == ["generate 0", "generate 1"]
    assert in_turn(_waiting("generate"), ["train"] * 3, 3) == []
    assert not has_room(["train"] * 3, 3)
    assert has_room(["train"] * 2, 3)


def test_a_chain_that_is_nearly_done_ends_before_another_begins():
    """Later stages first; among the same, what has waited longest."""
    waiting = _waiting("generate", "train", "evaluate", "train")
    assert in_turn(waiting, [], 3) == ["evaluate 2", "train 1", "train 3"]


def test_searches_that_wait_for_trials_do_not_keep_them_out():
    """With every place taken by a search, its trials begin."""
    searches = ["tune"] * 3
    assert has_room(searches, 3)
    assert in_turn(_waiting("generate", "trial", "trial"), searches, 3) == ["trial 1", "trial 2"]


def test_trials_take_no_place():
    """They are the search's own."""
    assert in_turn(_waiting("generate"), ["tune", "trial", "trial"], 2) == ["generate 0"]
