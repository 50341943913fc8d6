"""The words that everything uses."""

from baton.terms import GROUP, HIDDEN, RESERVED, ROW, SPLIT, visible


def test_what_is_hidden_is_not_shown():
    """Side and group of a row are left out; its id, the features and the target stay in order."""
    assert visible(["b", GROUP, ROW, "a", SPLIT]) == ["b", ROW, "a"]
    assert visible([]) == []
    assert visible(iter(RESERVED)) == [ROW]


def test_what_is_hidden_is_reserved():
    """No column of a user's can be hidden by its name."""
    assert set(HIDDEN) < set(RESERVED)
