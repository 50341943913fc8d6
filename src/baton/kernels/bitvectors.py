"""Answers of trees whose columns are shuffled one after the other, by bit vectors.

A node whose condition does not hold rules out the leaves to its left: a row's leaf is the first
that no node rules out. Leaves are bits of a word, and what one column of a tree leaves is a table
over its bins; a row's leaf is the first bit of the columns' words, joined by *and*. Where a column
is shuffled, the words of all others stay joined as they are: two loads a tree and row are left.

The bit vectors are QuickScorer's: Lucchese et al. (2015), SIGIR 15, 73-82.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from baton.kernels.compiled import compiled
from baton.kernels.trees import MISSING, Trees

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Array = np.ndarray[Any, np.dtype[Any]]

MOST_LEAVES = 64
"""Of a tree: a leaf is a bit of a word."""

_MOST_WORDS = 1 << 24
"""Of all tables, 8 bytes each."""

_MOST_NUMBERS = 1 << 23
"""Answers that are held at a time, 8 bytes each."""

_BLOCK = 256
"""Rows that are taken together: their words stay in a core's own cache."""

_ALL, _ONE = np.uint64(2**64 - 1), np.uint64(1)
_SPREAD, _SHIFT = np.uint64(0x03F79D71B4CB0A89), np.uint64(58)
"""De Bruijn's sequence: times a single bit, its first six bits are another number for each bit."""

_PLACES = (((1 << np.arange(64, dtype=np.uint64)) * _SPREAD) >> _SHIFT).astype(np.int64)
"""That number for each bit."""


class _Tables(NamedTuple):
    """For each tree, and each column that it has, what the column's bins leave of its leaves."""

    ends: Array
    """Of each tree, among the columns of all."""
    columns: Array
    starts: Array
    """Of each column of each tree, among the words."""
    words: Array
    values: Array
    """Of leaves, shape (n_trees, 64), by the number of their bit."""
    outputs: Array


@dataclass(frozen=True)
class BitVectors:
    """The tables of all trees, ready for rows."""

    trees: Trees
    tables: _Tables

    def margins(self, X: Array, n_threads: int) -> Array:
        """Sum of the trees' leaves: float64 array of shape (n_rows, n_outputs).

        Parameters
        ----------
        X : array of shape (n_rows, n_features)
        n_threads : int
        """
        bins = self._bins(X)
        found = np.zeros((self.trees.n_outputs, len(X)))
        _in_parts(partial(_sum, bins, self.tables, found), len(X), n_threads)
        return found.T

    def shuffled(
        self, X: Array, groups: Sequence[Array], orders: Sequence[Array], n_threads: int
    ) -> Iterator[Array]:
        """By how much the sums change where columns stand in other orders.

        Parameters
        ----------
        X : array of shape (n_rows, n_features)
        groups : sequence of int array
            Columns that are shuffled together, those of one group after those of another.
        orders : sequence of int array of shape (n_rows,)
            Rows that the columns' values are taken from.
        n_threads : int

        Yields
        ------
        float64 array of shape (n_orders, n_rows, n_outputs)
            For each group.
        """
        bins = self._bins(X)
        size = max(1, len(orders) * len(X) * self.trees.n_outputs)
        step = max(1, _MOST_NUMBERS // size)
        for begin in range(0, len(groups), step):
            part = groups[begin : begin + step]
            yield from self._changes(bins, part, orders, n_threads).transpose(0, 1, 3, 2)

    def _changes(
        self, bins: Array, groups: Sequence[Array], orders: Sequence[Array], n_threads: int
    ) -> Array:
        """Changes of some groups: shape (n_groups, n_orders, n_outputs, n_rows)."""
        columns = np.concatenate([np.empty(0, dtype=np.int64), *groups])
        local, group_of = (np.full(len(bins), -1) for _ in range(2))
        local[columns] = np.arange(len(columns))
        group_of[columns] = np.repeat(np.arange(len(groups)), [len(one) for one in groups])
        moved = np.stack([bins[columns][:, order] for order in orders])
        shape = (len(groups), len(orders), self.trees.n_outputs, bins.shape[1])
        found = np.zeros(shape)
        how = (bins, moved, local, group_of, self.tables, found)
        _in_parts(partial(_change, *how), bins.shape[1], n_threads)
        return found

    def _bins(self, X: Array) -> Array:
        """Bins, of which a column's last is that of missing values."""
        found = self.trees.bins(X)
        return np.where(found == MISSING, self.n_bins[:, None], found).astype(np.uint16)

    @cached_property
    def n_bins(self) -> Array:
        """Of each column, without the missing values'."""
        return np.asarray([len(one) + 1 for one in self.trees.thresholds])


def bitvectors_of(trees: Trees) -> BitVectors | None:
    """Tables of these trees; None of trees with more than 64 leaves, or where they are too large.

    Lucchese, Nardini, Orlando, Perego, Tonellotto, Venturini (2015), QuickScorer: a fast algorithm
    to rank documents with additive ensembles of regression trees, SIGIR 15, 73-82.

    Parameters
    ----------
    trees : Trees
        Their conditions are on numbers: those on categories are not read to begin with.
    """
    nodes = trees.nodes
    is_inner = nodes.left >= 0
    places = np.arange(len(is_inner))
    is_in_order = not (is_inner & (np.minimum(nodes.left, nodes.right) <= places)).any()
    n_leaves = np.add.reduceat(~is_inner, nodes.starts[:-1])
    if not is_in_order or n_leaves.max() > MOST_LEAVES:
        return None
    of_tree = np.repeat(np.arange(len(trees.trees)), np.diff(nodes.starts))[is_inner]
    pairs, pair_of = np.unique(
        of_tree * trees.n_features + nodes.feature[is_inner], return_inverse=True
    )
    columns = pairs % trees.n_features
    widths = np.asarray([len(one) + 2 for one in trees.thresholds])[columns]
    if widths.sum() > _MOST_WORDS:
        return None
    ends = np.searchsorted(pairs, np.arange(1, len(trees.trees) + 1) * trees.n_features)
    starts = np.cumsum([0, *widths])
    node_pair = np.full(len(is_inner), -1)
    node_pair[is_inner] = pair_of
    words = np.full(starts[-1], _ALL)
    values = np.zeros((len(trees.trees), MOST_LEAVES))
    _rule_out(nodes, node_pair, starts, _PLACES, words, values)
    outputs = np.asarray([tree.output for tree in trees.trees])
    return BitVectors(trees, _Tables(ends, columns, starts, words, values, outputs))


def _in_parts(work: Any, n_rows: int, n_threads: int) -> None:
    """Have threads do parts of the rows."""
    n_threads = max(n_threads, 1)
    step = -(-n_rows // n_threads) or 1
    with ThreadPoolExecutor(n_threads) as threads:
        list(threads.map(lambda at: work(at, min(at + step, n_rows)), range(0, n_rows, step)))


# --- loops ---------------------------------------------------------------------------------------


@compiled
def _rule_out(nodes, node_pair, starts, places, words, values):  # type: ignore[no-untyped-def]
    """Write what each node rules out into its column's table, and where each leaf's value is."""
    n_leaves, first = np.ones(len(nodes.left), dtype=np.int64), np.zeros(len(nodes.left), np.int64)
    for node in range(len(nodes.left) - 1, -1, -1):
        if nodes.left[node] >= 0:
            n_leaves[node] = n_leaves[nodes.left[node]] + n_leaves[nodes.right[node]]
    for tree in range(len(nodes.starts) - 1):
        for node in range(nodes.starts[tree], nodes.starts[tree + 1]):
            left = nodes.left[node]
            if left < 0:
                values[tree, places[first[node]]] = nodes.value[node]
                continue
            first[left] = first[node]
            first[nodes.right[node]] = first[node] + n_leaves[left]
            below = (_ONE << np.uint64(n_leaves[left])) - _ONE  # a left side has 63 leaves at most
            kept = ~(below << np.uint64(first[left]))
            begin, end = starts[node_pair[node]], starts[node_pair[node] + 1]
            for place in range(begin + nodes.bin[node] + 1, end - 1):
                words[place] &= kept
            if not nodes.default_left[node]:
                words[end - 1] &= kept


@compiled
def _place(word):  # type: ignore[no-untyped-def]
    """Number of the word's first bit."""
    return ((word & (~word + _ONE)) * _SPREAD) >> _SHIFT


@compiled
def _sum(bins, tables, found, begin, end):  # type: ignore[no-untyped-def]
    """Add each tree's leaf of each row."""
    word = np.empty(_BLOCK, dtype=np.uint64)
    for low in range(begin, end, _BLOCK):
        size = min(_BLOCK, end - low)
        first = 0
        for tree in range(len(tables.ends)):
            word[:size] = _ALL
            for pair in range(first, tables.ends[tree]):
                of_rows, table = bins[tables.columns[pair]], tables.words[tables.starts[pair] :]
                for row in range(size):
                    word[row] &= table[of_rows[low + row]]
            first = tables.ends[tree]
            values, added = tables.values[tree], found[tables.outputs[tree]]
            for row in range(size):
                added[low + row] += values[_place(word[row])]


@compiled
def _join(bins, tables, first, end, low, size, before, after):  # type: ignore[no-untyped-def]
    """Words of a tree's columns, joined from the first on and from the last on."""
    n_columns = end - first
    before[0, :size] = _ALL
    after[n_columns, :size] = _ALL
    for place in range(n_columns):
        of_rows = bins[tables.columns[first + place]]
        table = tables.words[tables.starts[first + place] :]
        for row in range(size):
            after[place, row] = table[of_rows[low + row]]
        for row in range(size):
            before[place + 1, row] = before[place, row] & after[place, row]
    for place in range(n_columns - 1, -1, -1):
        for row in range(size):
            after[place, row] &= after[place + 1, row]


@compiled
def _add(values, rest, table, of_rows, old, added):  # type: ignore[no-untyped-def]
    """Add by how much a tree's leaves differ from the old ones, the rest joined with one column."""
    for row in range(len(rest)):
        added[row] += values[_place(rest[row] & table[of_rows[row]])] - old[row]


@compiled
def _move(tables, moved, local, first, end, rows, rest, word):  # type: ignore[no-untyped-def]
    """Join the words of columns that were moved to those of the rest."""
    word[:] = rest
    for pair in range(first, end):
        of_rows, table = (
            moved[local[tables.columns[pair]]][rows],
            tables.words[tables.starts[pair] :],
        )
        for row in range(len(rest)):
            word[row] &= table[of_rows[row]]


@compiled
def _until(group_of, columns, at, last):  # type: ignore[no-untyped-def]
    """Where the columns of a tree end that are in one group with the first of them."""
    group, end = group_of[columns[at]], at + 1
    while end < last and group >= 0 and group_of[columns[end]] == group:
        end += 1
    return end


@compiled
def _regroup(  # type: ignore[no-untyped-def]
    tables, moved, local, group_of, tree, first, rows, before, after, old, found
):
    """Add, for each group of a tree's columns and each order, by how much its leaves change."""
    columns, values, last = tables.columns, tables.values[tree], tables.ends[tree]
    word, at = np.empty(len(old), dtype=np.uint64), first
    while at < last:
        group, end = group_of[columns[at]], _until(group_of, columns, at, last)
        if group >= 0:
            rest = before[at - first, : len(old)] & after[end - first, : len(old)]
            table, place = tables.words[tables.starts[end - 1] :], local[columns[end - 1]]
            for order in range(len(moved)):
                own, added = rest, found[group, order, tables.outputs[tree], rows]
                if end > at + 1:
                    own = word
                    _move(tables, moved[order], local, at, end - 1, rows, rest, word)
                _add(values, own, table, moved[order, place, rows], old, added)
        at = end


@compiled
def _change(bins, moved, local, group_of, tables, found, begin, end):  # type: ignore[no-untyped-def]
    """Add what groups of columns, which stand side by side, change where they are moved."""
    shape = (MOST_LEAVES + 1, _BLOCK)  # a tree of 64 leaves has 63 columns at most
    before, after = np.empty(shape, dtype=np.uint64), np.empty(shape, dtype=np.uint64)
    old = np.empty(_BLOCK)
    for low in range(begin, end, _BLOCK):
        size = min(_BLOCK, end - low)
        first, rows = 0, slice(low, low + size)
        for tree in range(len(tables.ends)):
            _join(bins, tables, first, tables.ends[tree], low, size, before, after)
            for row in range(size):
                old[row] = tables.values[tree][_place(after[0, row])]
            how = (tree, first, rows, before, after, old[:size])
            _regroup(tables, moved, local, group_of, *how, found)
            first = tables.ends[tree]
