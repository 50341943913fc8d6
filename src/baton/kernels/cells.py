"""Exact Shapley values of trees of up to three columns, by tables over the cells of their bins.

What is known of a row is a set of columns, and what trees answer then is constant between their
thresholds. Of one and two known columns all trees of an output share one table, to which a leaf
adds the box it stands for, by the corners alone; of three, a tree's leaves fill a table of its own.
A row looks up what it has in each, and Shapley's formula of three columns is written out.

The values are those of Lundberg et al. (2020), Nature Machine Intelligence 2, 56-67,
path-dependent. Boxes by their corners are the summed-area tables of Crow (1984), SIGGRAPH 84.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from baton.kernels.compiled import compiled
from baton.kernels.trees import MISSING, MOST_COLUMNS, MOST_OF_TREE, Trees

if TYPE_CHECKING:
    Array = np.ndarray[Any, np.dtype[Any]]


class _Leaves(NamedTuple):
    """Leaves of all trees, and which bins of each column, shape (n_leaves, 3), lead to them."""

    low: Array
    high: Array
    missing: Array
    """Whether a missing value does."""
    share: Array
    """Part of the cover that goes this way where the column is not known."""
    value: Array


@dataclass(frozen=True)
class Cells:
    """The leaves' boxes and the tables of pairs, ready for rows."""

    trees: Trees
    leaves: _Leaves
    tree_ends: Array
    outputs: Array
    """Of each tree."""
    pairs: Array
    """Shape (n_outputs, 3, n_cells, n_cells): of columns 0 and 1, 0 and 2, 1 and 2."""

    def explain(self, X: Array, n_threads: int) -> Array:
        """Shapley values of rows, without the base value.

        Parameters
        ----------
        X : array of shape (n_rows, n_features)
        n_threads : int

        Returns
        -------
        float32 array of shape (n_rows, n_features, n_outputs)
        """
        cells = np.zeros((MOST_COLUMNS, len(X)), dtype=np.uint16)
        bins = self.trees.bins(X)
        cells[: len(bins)] = np.where(bins == MISSING, self.pairs.shape[-1] - 2, bins)
        found = np.zeros((len(X), MOST_COLUMNS, self.trees.n_outputs), dtype=np.float32)
        step = -(-len(X) // max(n_threads, 1)) or 1
        with ThreadPoolExecutor(max(n_threads, 1)) as threads:
            list(threads.map(partial(self._part, cells, found, step), range(0, len(X), step)))
        return found[:, : self.trees.n_features]

    def _part(self, cells: Array, found: Array, step: int, begin: int) -> None:
        rows = slice(begin, begin + step)
        own = np.ascontiguousarray(cells[:, rows])
        whole = np.zeros((self.trees.n_outputs, own.shape[1]))
        table = np.zeros(MOST_OF_TREE)
        _answer(own, self.leaves, self.tree_ends, self.outputs, self.pairs.shape[-1], table, whole)
        _share_out(own, self.pairs, whole, found[rows])


def cells_of(trees: Trees) -> Cells | None:
    """Tables of these trees; None of more columns, or where they would be too large."""
    if not trees.fit_in_cells:
        return None
    n_cells = trees.n_cells
    leaves, tree_ends = _leaves(trees)
    outputs = np.asarray([tree.output for tree in trees.trees])
    pairs = np.zeros((trees.n_outputs, MOST_COLUMNS, n_cells + 1, n_cells + 1))
    _add_corners(leaves, np.repeat(outputs, np.diff(tree_ends, prepend=0)), pairs)
    sums = pairs.cumsum(axis=2).cumsum(axis=3)[:, :, :-1, :-1]
    return Cells(trees, leaves, tree_ends, outputs, np.ascontiguousarray(sums))


def _leaves(trees: Trees) -> tuple[_Leaves, Array]:
    """Leaves of all trees, and how many there are up to the end of each."""
    nodes = trees.nodes
    shape = (len(nodes.left), MOST_COLUMNS)
    low, high = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    high[:] = [len(one) for one in trees.thresholds] + [0] * (MOST_COLUMNS - trees.n_features)
    missing, share = np.ones(shape, dtype=bool), np.ones(shape)
    _descend(nodes, low, high, missing, share)
    is_leaf = nodes.left < 0
    leaves = _Leaves(*(one[is_leaf] for one in (low, high, missing, share, nodes.value)))
    return leaves, np.cumsum([int((tree.left < 0).sum()) for tree in trees.trees])


# --- loops ---------------------------------------------------------------------------------------


@compiled
def _descend(nodes, low, high, missing, share):  # type: ignore[no-untyped-def]
    """Hand each node's box down to its children, which stand after it."""
    for node in range(len(nodes.left)):
        left, right, column = nodes.left[node], nodes.right[node], nodes.feature[node]
        if left < 0:
            continue
        for child in (left, right):
            low[child], high[child] = low[node], high[node]
            missing[child], share[child] = missing[node], share[node]
            share[child, column] *= nodes.cover[child] / nodes.cover[node]
        high[left, column] = min(high[left, column], nodes.bin[node])
        low[right, column] = max(low[right, column], nodes.bin[node] + 1)
        missing[left, column] &= nodes.default_left[node]
        missing[right, column] &= not nodes.default_left[node]


@compiled
def _add_corners(leaves, outputs, pairs):  # type: ignore[no-untyped-def]
    """Add each leaf's box to the tables of pairs, as corners from which sums will make it."""
    n_cells = pairs.shape[2] - 1
    begin, end, much = np.empty((3, 3), np.int64), np.empty((3, 3), np.int64), np.empty((3, 3))
    for leaf in range(len(leaves.value)):
        for column in range(3):  # the bins, "missing", "not known"
            low, high = leaves.low[leaf, column], leaves.high[leaf, column]
            begin[column] = (low, n_cells - 2, n_cells - 1)
            end[column] = (max(low, high + 1), n_cells - 1, n_cells)
            much[column] = (1.0, leaves.missing[leaf, column] * 1.0, leaves.share[leaf, column])
        for pair in range(3):
            a, b, other = (pair > 1) * 1, (pair > 0) + 1, 2 - pair
            corners = pairs[outputs[leaf], pair]
            value = leaves.value[leaf] * leaves.share[leaf, other]
            for i in range(3):
                for j in range(3):
                    amount = value * much[a, i] * much[b, j]
                    corners[begin[a, i], begin[b, j]] += amount
                    corners[end[a, i], begin[b, j]] -= amount
                    corners[begin[a, i], end[b, j]] -= amount
                    corners[end[a, i], end[b, j]] += amount


@compiled
def _own_axis(low, n_cells, places):  # type: ignore[no-untyped-def]
    """Place of each bin on a tree's own axis, which is cut where its leaves begin; its length."""
    places[:] = 0
    for begin in low:
        places[begin] = 1
    place = 0
    for cell in range(n_cells - 2):
        place += places[cell] and cell > 0
        places[cell] = place
    places[n_cells - 2] = place + 1
    return place + 2


@compiled
def _lay_out(leaves, first, end, places, sizes, table):  # type: ignore[no-untyped-def]
    """Write each leaf's value into its cells of a tree's own table."""
    last = sizes - 1  # a missing value
    for leaf in range(first, end):
        low, high, missing = leaves.low[leaf], leaves.high[leaf], leaves.missing[leaf]
        a0, b0, c0 = places[0, low[0]], places[1, low[1]], places[2, low[2]]
        a1 = max(places[0, high[0]], a0 - 1)  # where no value leads, a missing one may
        b1 = max(places[1, high[1]], b0 - 1)
        c1 = max(places[2, high[2]], c0 - 1)
        for i in range(a0, a1 + 1 + missing[0]):
            a = i if i <= a1 else last[0]
            for j in range(b0, b1 + 1 + missing[1]):
                b = j if j <= b1 else last[1]
                line = (a * sizes[1] + b) * sizes[2]
                for k in range(c0, c1 + 1 + missing[2]):
                    table[line + (k if k <= c1 else last[2])] = leaves.value[leaf]


@compiled
def _answer(cells, leaves, tree_ends, outputs, n_cells, table, whole):  # type: ignore[no-untyped-def]
    """Add every tree's answer to each row."""
    places, sizes = np.zeros((3, n_cells), np.int64), np.zeros(3, np.int64)
    first = 0
    for tree in range(len(tree_ends)):
        end, added = tree_ends[tree], whole[outputs[tree]]
        for column in range(3):
            low = leaves.low[first:end, column]
            sizes[column] = _own_axis(low, n_cells, places[column])
        _lay_out(leaves, first, end, places, sizes, table)
        a, b, c = places[0] * (sizes[1] * sizes[2]), places[1] * sizes[2], places[2]
        for row in range(len(added)):
            added[row] += table[a[cells[0, row]] + b[cells[1, row]] + c[cells[2, row]]]
        first = end


@compiled
def _share_out(cells, pairs, whole, found):  # type: ignore[no-untyped-def]
    """Shapley's formula of three columns: what each adds to every set of the others."""
    no = pairs.shape[2] - 1  # not known
    for output in range(len(whole)):
        of01, of02, of12 = pairs[output, 0], pairs[output, 1], pairs[output, 2]
        for row in range(cells.shape[1]):
            a, b, c = cells[0, row], cells[1, row], cells[2, row]
            v0, v1, v2, v = of01[a, no], of01[no, b], of02[no, c], of01[no, no]
            v01, v02, v12, v012 = of01[a, b], of02[a, c], of12[b, c], whole[output, row]
            found[row, 0, output] = (v0 - v + v012 - v12) / 3 + (v01 - v1 + v02 - v2) / 6
            found[row, 1, output] = (v1 - v + v012 - v02) / 3 + (v01 - v0 + v12 - v2) / 6
            found[row, 2, output] = (v2 - v + v012 - v01) / 3 + (v02 - v0 + v12 - v1) / 6
