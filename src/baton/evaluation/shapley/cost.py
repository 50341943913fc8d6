"""What explaining trees costs, by a count of the work: the same on every machine, at every time.

Which way is taken, and how many rows are explained, is decided by it, so that the same chain gives
the same rows everywhere. What the clock says belongs in ``explain``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from baton.kernels.trees import Trees

_WALKED = 2e8
"""Rows × leaves × depth² that engines do in a second on two cores: 1e8 to 4e8 were measured."""

_LOOKED_UP = 1e8
"""Rows × leaves that tables do in a second: 1e8 to 6e8 were measured."""

_MADE = 2e4
"""Leaves whose tables are made in a second."""

_READ = 3e8
"""Rows × trees that tables over cells do in a second on one core: 5e8 to 7e8 were measured."""

_BOXED = 1e5
"""Leaves that are added to tables over cells in a second: 2e5 were measured."""

_BEGUN = 2.0
"""Seconds until the loops are there: numba is imported, machine code loaded."""

MOST_DEPTH, MOST_CELLS = 12, 48_000_000
"""What `baton.kernels.patterns` has room for; not read there, which would import numba."""


def by_engine(trees: Trees, n_rows: int) -> float:
    """Seconds that the engine's own TreeSHAP takes for so many rows."""
    return trees.work * n_rows / _WALKED


def by_tables(trees: Trees, n_rows: int) -> float:
    """Seconds that tables take, and to make them."""
    n_leaves = len(trees.depths)
    if trees.fit_in_cells:
        return _BEGUN + n_leaves / _BOXED + len(trees.trees) * n_rows / _READ
    return _BEGUN + n_leaves / _MADE + n_leaves * n_rows / _LOOKED_UP


def have_room(trees: Trees) -> bool:
    """Whether there will be tables, surely: their size is at most that of one for each leaf."""
    if trees.fit_in_cells:
        return True
    depths = trees.depths.astype(np.float64)
    return bool(depths.max(initial=0) <= MOST_DEPTH and (depths * 2**depths).sum() <= MOST_CELLS)
