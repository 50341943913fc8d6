"""Exact Shapley values of trees, by tables from what a row decides to what its columns add.

A tree falls into small subtrees. What a row makes of one is told by a few bits: whether it meets
the conditions on each column on the way there, and where it goes at the subtree's nodes. For
each pattern of bits the contributions are computed once, and every row only looks them up.

The values are those of Lundberg et al. (2020), Nature Machine Intelligence 2, 56-67,
path-dependent. Tables in place of a row's walk are of Yang (2021), Fast TreeSHAP, arXiv 2109.09847,
algorithm 2, which has one for each leaf.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from math import factorial
from typing import TYPE_CHECKING, Any

import numpy as np

from baton.kernels.compiled import compiled
from baton.kernels.trees import MISSING, Tree, Trees

if TYPE_CHECKING:
    from collections.abc import Iterator

    Array = np.ndarray[Any, np.dtype[Any]]

MOST_CELLS = 48_000_000
"""Cells of all tables, 4 bytes each."""

_MOST_BITS = 12
"""Of a leaf's pattern: 4,096 lines."""

_BITS = 9
"""Of a subtree's, unless it is a leaf: tables stay small."""

_HEIGHT = 2
"""Of a subtree with a table of its own: three nodes and four leaves."""

_BLOCK = 512
"""Rows at once: what they decide and have added so far stays in a core's own cache."""


@dataclass
class _Lists:
    """What the loops read, as it grows; a group is a subtree with its way from the root."""

    condition_node: list[int]
    condition_side: list[int]
    bit_ends: list[int]
    group_bits: list[int]
    group_tree: list[int]
    features: list[int]
    feature_ends: list[int]
    leaf_ends: list[int]
    values: list[float]
    weights: list[float]
    ones: list[int]
    zeros: list[int]

    @classmethod
    def empty(cls) -> _Lists:
        return cls(*([] for _ in range(12)))


@dataclass(frozen=True)
class Tables:
    """The tables of every subtree, ready for rows."""

    trees: Trees
    arrays: tuple[Array, ...]
    nodes: tuple[Array, ...]

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
        bins = self.trees.bins(X)
        shape = (len(X), self.trees.n_features, self.trees.n_outputs)
        found = np.zeros(shape, dtype=np.float32)
        with ThreadPoolExecutor(max(n_threads, 1)) as threads:
            list(threads.map(partial(self._block, bins, found), range(0, len(X), _BLOCK)))
        return found

    def _block(self, bins: Array, found: Array, begin: int) -> None:
        block = slice(begin, begin + _BLOCK)
        _look_up(np.ascontiguousarray(bins[:, block]), *self.nodes, *self.arrays, found[block])


def tables_of(trees: Trees) -> Tables | None:
    """Tables of these trees; None where they would be too large."""
    lists = _Lists.empty()
    for place, tree in enumerate(trees.trees):
        if not _add_tree(lists, tree, place):
            return None
    ends = np.asarray(lists.feature_ends, dtype=np.int64)
    n_features = np.diff(ends, prepend=0)
    cells = (1 << np.asarray(lists.group_bits, dtype=np.int64)) * n_features
    table_ends = np.cumsum(cells)
    if len(table_ends) and table_ends[-1] > MOST_CELLS:
        return None
    table = np.zeros(int(table_ends[-1]) if len(table_ends) else 0, dtype=np.float32)
    starts = table_ends - cells
    _fill(
        np.asarray(lists.group_bits, dtype=np.int64),
        n_features,
        np.asarray(lists.leaf_ends, dtype=np.int64),
        np.asarray(lists.values),
        np.asarray(lists.weights),
        np.asarray(lists.ones, dtype=np.int64),
        np.asarray(lists.zeros, dtype=np.int64),
        _shares(),
        starts,
        table,
    )
    return Tables(trees, _arrays(lists, starts, table), _nodes(trees))


def _arrays(lists: _Lists, starts: Array, table: Array) -> tuple[Array, ...]:
    whole = (
        lists.group_tree,
        lists.group_bits,
        lists.bit_ends,
        lists.condition_node,
        lists.condition_side,
        lists.feature_ends,
        lists.features,
    )
    return (*(np.asarray(one, dtype=np.int64) for one in whole), starts, table)


def _nodes(trees: Trees) -> tuple[Array, ...]:
    """Where each tree's nodes begin, their columns, bins and defaults, and each tree's output."""
    sizes = [len(tree.left) for tree in trees.trees]
    return (
        np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        np.concatenate([tree.feature for tree in trees.trees]).astype(np.int64),
        np.concatenate([trees.bin_of(tree) for tree in trees.trees]).astype(np.uint16),
        np.concatenate([tree.default_left for tree in trees.trees]).astype(np.uint8),
        np.concatenate([tree.left >= 0 for tree in trees.trees]).astype(np.uint8),
        np.asarray([tree.output for tree in trees.trees], dtype=np.int64),
    )


def _shares() -> Array:
    """Shapley's weights: of k columns, for s others that are known."""
    most = _MOST_BITS + 1
    found = np.zeros((most + 1, most + 1))
    for k in range(1, most + 1):
        for s in range(k):
            found[k, s] = factorial(s) * factorial(k - 1 - s) / factorial(k)
    return found


# --- the tree, in subtrees -----------------------------------------------------------------------

_Way = tuple[tuple[int, int], ...]
"""Nodes from the root, each with the side that is taken: 1 is left."""


def _add_tree(lists: _Lists, tree: Tree, place: int) -> bool:
    """Add a tree's subtrees; False where one has too many bits."""
    if tree.left[0] < 0:
        return True
    heights = _heights(tree)
    return all(_add_group(lists, tree, place, root, way) for root, way in _roots(tree, heights))


def _heights(tree: Tree) -> Array:
    found = np.zeros(len(tree.left), dtype=np.int64)
    for place in reversed(_in_order(tree)):
        if tree.left[place] >= 0:
            found[place] = 1 + max(found[tree.left[place]], found[tree.right[place]])
    return found


def _in_order(tree: Tree) -> list[int]:
    found, stack = [], [0]
    while stack:
        place = stack.pop()
        found.append(place)
        if tree.left[place] >= 0:
            stack += [int(tree.left[place]), int(tree.right[place])]
    return found


def _roots(tree: Tree, heights: Array) -> Iterator[tuple[int, _Way]]:
    stack: list[tuple[int, _Way]] = [(0, ())]
    while stack:
        place, way = stack.pop()
        n_bits = len({tree.feature[node] for node, _ in way}) + (1 << heights[place]) - 1
        if not heights[place] or (heights[place] <= _HEIGHT and n_bits <= _BITS):
            yield place, way
        else:
            stack += [
                (int(tree.left[place]), (*way, (place, 1))),
                (int(tree.right[place]), (*way, (place, 0))),
            ]


def _add_group(lists: _Lists, tree: Tree, place: int, root: int, way: _Way) -> bool:
    """Add a subtree: its bits, its columns and its leaves."""
    leaves = list(_leaves(tree, root, ()))
    inner = sorted({node for _, within in leaves for node, _ in within})
    columns = list(dict.fromkeys(int(tree.feature[node]) for node, _ in way))
    bits = {node: len(columns) + at for at, node in enumerate(inner)}
    n_bits = len(columns) + len(inner)
    if n_bits > _MOST_BITS:
        return False
    for column in columns:
        met = [(node, side) for node, side in way if tree.feature[node] == column]
        _add_bit(lists, met)
    for node in inner:
        _add_bit(lists, [(node, 1)])
    features = list(dict.fromkeys([*columns, *(int(tree.feature[node]) for node in inner)]))
    for leaf, within in leaves:
        _add_leaf(lists, tree, leaf, way, within, features, columns, bits)
    lists.group_tree.append(place)
    lists.group_bits.append(n_bits)
    lists.features += features
    lists.feature_ends.append(len(lists.features))
    lists.leaf_ends.append(len(lists.values))
    return True


def _leaves(tree: Tree, place: int, within: _Way) -> Iterator[tuple[int, _Way]]:
    if tree.left[place] < 0:
        yield place, within
        return
    yield from _leaves(tree, int(tree.left[place]), (*within, (place, 1)))
    yield from _leaves(tree, int(tree.right[place]), (*within, (place, 0)))


def _add_bit(lists: _Lists, met: list[tuple[int, int]]) -> None:
    lists.condition_node += [node for node, _ in met]
    lists.condition_side += [side for _, side in met]
    lists.bit_ends.append(len(lists.condition_node))


def _add_leaf(
    lists: _Lists,
    tree: Tree,
    leaf: int,
    way: _Way,
    within: _Way,
    features: list[int],
    columns: list[int],
    bits: dict[int, int],
) -> None:
    """Add a leaf: which bits each column wants, and which part of the cover goes its way."""
    weights = dict.fromkeys(features, 1.0)
    for node, side in (*way, *within):
        child = tree.left[node] if side else tree.right[node]
        weights[int(tree.feature[node])] *= tree.cover[child] / tree.cover[node]
    ones = {column: 1 << at for at, column in enumerate(columns)}
    zeros: dict[int, int] = {}
    for node, side in within:
        wanted = ones if side else zeros
        column = int(tree.feature[node])
        wanted[column] = wanted.get(column, 0) | 1 << bits[node]
    lists.values.append(float(tree.value[leaf]))
    lists.weights += [weights[one] for one in features]
    lists.ones += [ones.get(one, 0) for one in features]
    lists.zeros += [zeros.get(one, 0) for one in features]


# --- loops ---------------------------------------------------------------------------------------


@compiled
def _know(pattern, weights, ones, zeros, known, whole):  # type: ignore[no-untyped-def]
    """Which columns a pattern meets, and the polynomial of all columns' chances.

    Its term of degree s gathers the sets of s known columns.
    """
    whole[:] = 0.0
    whole[0] = 1.0
    for place in range(len(weights)):
        known[place] = pattern & ones[place] == ones[place] and pattern & zeros[place] == 0
        for s in range(place + 1, 0, -1):
            whole[s] = weights[place] * whole[s] + (whole[s - 1] if known[place] else 0.0)
        whole[0] *= weights[place]


@compiled
def _share(whole, shares, weight, is_known):  # type: ignore[no-untyped-def]
    """Chances of the other columns, by Shapley's weights: one is left out by division."""
    total, rest = 0.0, 0.0
    for s in range(len(shares) - 1, -1, -1):
        rest = whole[s + 1] - weight * rest if is_known else whole[s] / weight
        total += shares[s] * rest
    return total


@compiled
def _fill(  # type: ignore[no-untyped-def]
    group_bits, n_features, leaf_ends, values, weights, ones, zeros, shares, starts, table
):
    """Contributions of each pattern of each subtree: the sum over its leaves."""
    known, whole = np.zeros(16, dtype=np.bool_), np.zeros(17)
    first, entry = 0, 0
    for group in range(len(group_bits)):
        k = n_features[group]
        for leaf in range(first, leaf_ends[group]):
            own = slice(entry, entry + k)
            entry += k
            for pattern in range(1 << group_bits[group]):
                cell = starts[group] + pattern * k
                _know(pattern, weights[own], ones[own], zeros[own], known, whole)
                for place in range(k):
                    weight = weights[own][place]
                    gain = (1.0 if known[place] else 0.0) - weight
                    if gain != 0.0:
                        share = _share(whole, shares[k, :k], weight, known[place])
                        table[cell + place] += values[leaf] * gain * share
        first = leaf_ends[group]


@compiled
def _decide(rows, feature, bins, default, is_inner, decided):  # type: ignore[no-untyped-def]
    """Whether each row goes left at each node of a tree."""
    for node in range(len(feature)):
        if is_inner[node]:
            values, most, missing = rows[feature[node]], bins[node], default[node]
            for row in range(rows.shape[1]):
                value = values[row]
                decided[node, row] = (value <= most) | (missing & (value == MISSING))


@compiled
def _meet(decided, nodes, sides, met):  # type: ignore[no-untyped-def]
    """Whether each row takes the side that is asked for at each of some nodes."""
    met[:] = 1
    for place in range(len(nodes)):
        other, taken = 1 - sides[place], decided[nodes[place]]
        for row in range(len(met)):
            met[row] &= taken[row] ^ other


@compiled
def _add(table, pattern, columns, added):  # type: ignore[no-untyped-def]
    """Add the line of a table that each row's pattern names to the row's columns."""
    n_columns = len(columns)
    for row in range(len(pattern)):
        line = pattern[row] * n_columns
        for place in range(n_columns):
            added[row, columns[place]] += table[line + place]


@compiled
def _look_up(  # type: ignore[no-untyped-def]
    rows,
    node_starts,
    node_feature,
    node_bin,
    node_default,
    is_inner,
    outputs,
    group_tree,
    group_bits,
    bit_ends,
    condition_node,
    condition_side,
    feature_ends,
    features,
    starts,
    table,
    found,
):
    """Add to each row's columns what its pattern has in each subtree's table."""
    n_columns, n_rows = rows.shape
    decided = np.zeros((np.diff(node_starts).max(), n_rows), dtype=np.uint8)
    pattern, met = np.zeros(n_rows, dtype=np.int32), np.zeros(n_rows, dtype=np.uint8)
    added = np.zeros((found.shape[2], n_rows, n_columns))
    bit, condition, feature, tree = 0, 0, 0, -1
    for group in range(len(group_tree)):
        if group_tree[group] != tree:
            tree = group_tree[group]
            own = slice(node_starts[tree], node_starts[tree + 1])
            _decide(
                rows, node_feature[own], node_bin[own], node_default[own], is_inner[own], decided
            )
        pattern[:] = 0
        for place in range(group_bits[group]):
            end = bit_ends[bit]
            _meet(decided, condition_node[condition:end], condition_side[condition:end], met)
            for row in range(n_rows):
                pattern[row] |= np.int32(met[row]) << place
            bit, condition = bit + 1, end
        columns = features[feature : feature_ends[group]]
        feature = feature_ends[group]
        _add(table[starts[group] :], pattern, columns, added[outputs[tree]])
    for output in range(found.shape[2]):
        found[:, :, output] = added[output]
