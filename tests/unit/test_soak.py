"""What grows from chain to chain is told from what is filled once, and from noise."""

import sys
from random import Random

import pytest

from tests.conftest import ROOT

NOISE = Random(1)
HUNDRED = range(100)


@pytest.fixture(scope="module")
def soak():
    """The program that measures it."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        import soak

        yield soak
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))


@pytest.mark.parametrize(
    ("name", "values", "grows"),
    [
        ("a file for each", [float(n) for n in HUNDRED], True),
        ("the same", [7.0] * 100, False),
        ("memory, KiB", [900 + 20 * n + NOISE.gauss(0, 200) for n in HUNDRED], True),
        ("memory, KiB", [900 + NOISE.gauss(0, 200) for n in HUNDRED], False),
        ("memory, KiB", [900 + 2.0 * n for n in HUNDRED], False),  # two megabytes in a thousand
        ("filled once", [min(n, 40.0) for n in HUNDRED], False),
        ("one step", [3.0 + (n > 60) for n in HUNDRED], False),
        ("(rows)", [float(n) for n in HUNDRED], False),
    ],
)
def test_only_what_goes_on_growing_is_said_to_grow(soak, name, values, grows, capsys):
    """Beyond its noise and in both halves; what a chain is there to leave is not judged."""
    assert soak.tell_slopes([{name: value} for value in values]) == grows
    assert ("GROWS" in capsys.readouterr().out) == grows


def test_a_few_chains_are_not_judged(soak, capsys):
    """Nor is nothing said of them."""
    assert not soak.tell_slopes([{"files": float(n)} for n in range(6)])
    assert "fewer than 6 chains after the warm-up" in capsys.readouterr().out
