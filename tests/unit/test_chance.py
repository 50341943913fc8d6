"""Rows picked by chance from their number alone."""

import numpy as np

from baton.chance import chance_of


def test_numbers_are_even_and_neighbours_are_strangers():
    """In every tenth of [0, 1) a tenth of the rows, and no row says anything of the next."""
    found = chance_of(np.arange(1_000_000), 7)
    counts = np.histogram(found, bins=10, range=(0, 1))[0]
    assert abs(counts / 100_000 - 1).max() < 0.02
    assert abs(np.corrcoef(found[1:], found[:-1])[0, 1]) < 0.01
    assert abs(np.corrcoef(found, chance_of(np.arange(1_000_000), 8))[0, 1]) < 0.01


def test_a_row_has_its_number_in_every_pass():
    """Whatever rows are asked for with it."""
    whole = chance_of(np.arange(100), 2**32 - 1)
    assert (chance_of(np.arange(40, 60), 2**32 - 1) == whole[40:60]).all()
