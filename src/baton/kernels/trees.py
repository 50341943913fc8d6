"""The trees of a booster as arrays, whichever library grew them.

A row's values become bins, the number of a column's thresholds below them, so that every condition
is a comparison of whole numbers: exactly the comparison that the library makes, in its precision.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import cached_property
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    Array = np.ndarray[Any, np.dtype[Any]]

MISSING = np.uint16(65535)
"""Bin of a missing value."""

MOST_COLUMNS = 3
"""Of which there are tables over the cells of their bins, as ``cells`` makes them."""

MOST_CELLS = 12_000_000
"""Cells of the tables of pairs of columns, 8 bytes each."""

MOST_OF_TREE = 1 << 15
"""Cells of one tree's table: it stays in a core's own cache."""

_UNREAD = re.compile(rb'"(?:base_weights|loss_changes|parents)":\[[^\]]*\],')
"""Parts of XGBoost's text, two fifths of it, which take longer to parse than to cut out."""

_ZERO = float(np.float32(1e-35))
"""What is no farther from zero than this is zero to LightGBM."""


@dataclass(frozen=True)
class Tree:
    """One tree: a node's children come after it; a leaf has no children, -1."""

    left: Array
    right: Array
    feature: Array
    threshold: Array
    """At least this goes right, or more than this, as the library has it."""
    default_left: Array
    """Whether a missing value goes left."""
    cover: Array
    """Training rows, or their weight, by which the library's Shapley values weigh a branch."""
    value: Array
    """Of leaves."""
    output: int


class Nodes(NamedTuple):
    """Nodes of all trees, one tree after the other; children are named by their place among all."""

    starts: Array
    """Where each tree's begin, and where the last one's end."""
    left: Array
    right: Array
    feature: Array
    bin: Array
    """Greatest that goes left."""
    default_left: Array
    cover: Array
    value: Array


def _is_small(tree: Tree) -> bool:
    """Whether its own table is: of each column a cell more than thresholds, and one for missing."""
    inner, n_cells = tree.left >= 0, 1
    for column in range(MOST_COLUMNS):
        n_cells *= len(np.unique(tree.threshold[inner & (tree.feature == column)])) + 2
    children = np.minimum(tree.left, tree.right)
    is_in_order = not (inner & (children <= np.arange(len(tree.left)))).any()
    return n_cells <= MOST_OF_TREE and is_in_order


@dataclass(frozen=True)
class Trees:
    """The trees of a booster, and the columns' thresholds."""

    trees: tuple[Tree, ...]
    n_features: int
    n_outputs: int
    is_left_closed: bool
    """Whether a value that equals a threshold goes left: LightGBM's way, not XGBoost's."""
    precision: Any
    """Type in which values are compared."""
    without_missing: frozenset[int] = frozenset()
    """Columns in which a missing value is a zero."""
    thresholds: tuple[Array, ...] = field(init=False)
    """Of each column, ascending."""

    def __post_init__(self) -> None:
        is_inner = np.concatenate([tree.left >= 0 for tree in self.trees])
        feature = np.concatenate([tree.feature for tree in self.trees])[is_inner]
        threshold = np.concatenate([tree.threshold for tree in self.trees])[is_inner]
        of_each = (threshold[feature == place] for place in range(self.n_features))
        each = (np.unique(np.asarray(one, dtype=self.precision)) for one in of_each)
        object.__setattr__(self, "thresholds", tuple(each))

    @cached_property
    def depths(self) -> Array:
        """Depth of every leaf of all trees."""
        return np.asarray([depth for tree in self.trees for depth in _depths(tree)], dtype=np.int64)

    @property
    def work(self) -> float:
        """Leaves times the square of their depth: what an engine's own explaining takes a row."""
        return float((self.depths**2).sum())

    @property
    def n_cells(self) -> int:
        """Cells of a column at most: its bins, "missing" and "not known"."""
        return max(len(one) for one in self.thresholds) + 3

    @cached_property
    def fit_in_cells(self) -> bool:
        """Whether tables over cells have room for them, and each tree's nodes stand in order."""
        if self.n_features > MOST_COLUMNS:
            return False
        of_pairs = self.n_outputs * MOST_COLUMNS * (self.n_cells + 1) ** 2
        return of_pairs <= MOST_CELLS and all(map(_is_small, self.trees))

    def bins(self, X: Array) -> Array:
        """Bins of rows: whole numbers of shape (n_features, n_rows).

        Parameters
        ----------
        X : array of shape (n_rows, n_features)
        """
        side: Any = "left" if self.is_left_closed else "right"
        found = np.zeros((self.n_features, len(X)), dtype=np.uint16)
        for place in (place for place, one in enumerate(self.thresholds) if len(one)):
            values = self._compared(X[:, place], place)
            found[place] = np.searchsorted(self.thresholds[place], values, side=side)
            found[place, np.isnan(values)] = MISSING
        return found

    def _compared(self, values: Array, place: int) -> Array:
        """Values of a column as they are compared."""
        found = np.asarray(values, dtype=self.precision)
        if self.is_left_closed:
            found = np.where(np.abs(found) <= _ZERO, 0, found)
        return np.where(np.isnan(found), 0, found) if place in self.without_missing else found

    @cached_property
    def nodes(self) -> Nodes:
        """Nodes of all trees, one tree after the other, with their bins."""
        starts = np.cumsum([0, *(len(tree.left) for tree in self.trees)])
        pairs = list(zip(self.trees, starts[:-1], strict=True))
        left, right = (
            np.concatenate([np.where(tree.left < 0, -1, one(tree) + at) for tree, at in pairs])
            for one in (attrgetter("left"), attrgetter("right"))
        )
        feature, threshold, default_left, cover, value = (
            np.concatenate([getattr(tree, name) for tree in self.trees])
            for name in ("feature", "threshold", "default_left", "cover", "value")
        )
        bins = np.zeros(len(left), dtype=np.int64)
        for column, of_column in enumerate(self.thresholds):
            own = (left >= 0) & (feature == column)
            bins[own] = np.searchsorted(of_column, threshold[own].astype(of_column.dtype))
        feature = feature.astype(np.int64)
        return Nodes(starts, left, right, feature, bins, default_left, cover, value)

    def bin_of(self, tree: Tree) -> Array:
        """Greatest bin that goes left at each node of a tree."""
        found = np.zeros(len(tree.left), dtype=np.uint16)
        for place in np.flatnonzero(tree.left >= 0):
            of_column = self.thresholds[tree.feature[place]]
            found[place] = np.searchsorted(of_column, tree.threshold[place])
        return found


def _depths(tree: Tree) -> Iterator[int]:
    stack = [(0, 0)]
    while stack:
        place, depth = stack.pop()
        if tree.left[place] < 0:
            yield depth
        else:
            stack += [(tree.left[place], depth + 1), (tree.right[place], depth + 1)]


def of_xgboost(booster: Any) -> Trees | None:
    """Trees of XGBoost's best iteration; None of what is none, or has conditions of another kind.

    Parameters
    ----------
    booster : xgboost.Booster
    """
    learner = json.loads(_UNREAD.sub(b"", bytes(booster.save_raw("json"))))["learner"]
    model = learner["gradient_booster"]
    if model["name"] != "gbtree":
        return None
    model, n_features = model["model"], int(learner["learner_model_param"]["num_feature"])
    last = getattr(booster, "best_iteration", -1) + 1
    n_trees = model["iteration_indptr"][last] if last else len(model["trees"])
    pairs = zip(model["trees"][:n_trees], model["tree_info"][:n_trees], strict=True)
    trees = [_xgboost_tree(tree, output) for tree, output in pairs]
    if any(tree is None for tree in trees) or not trees:
        return None
    n_outputs = max(model["tree_info"]) + 1
    whole = tuple(tree for tree in trees if tree is not None)
    return Trees(whole, n_features, n_outputs, False, np.float32)


def _xgboost_tree(tree: dict[str, Any], output: int) -> Tree | None:
    is_of_several = int(tree["tree_param"].get("size_leaf_vector", "1")) > 1
    if is_of_several or any(tree["split_type"]):  # one leaf for all outputs; categories
        return None
    conditions = np.asarray(tree["split_conditions"], dtype=np.float32)
    return Tree(
        left=np.asarray(tree["left_children"]),
        right=np.asarray(tree["right_children"]),
        feature=np.asarray(tree["split_indices"]),
        threshold=conditions,
        default_left=np.asarray(tree["default_left"], dtype=bool),
        cover=np.asarray(tree["sum_hessian"], dtype=np.float64),
        value=conditions.astype(np.float64),
        output=output,
    )


def of_lightgbm(booster: Any) -> Trees | None:
    """Trees of LightGBM's best iteration; None of what has conditions of another kind.

    Parameters
    ----------
    booster : lightgbm.Booster
    """
    model = booster.dump_model()
    if model.get("average_output"):
        return None
    n_features, n_outputs = model["max_feature_idx"] + 1, model["num_tree_per_iteration"]
    found = _Flat()
    trees = tuple(
        found.tree(one["tree_structure"], place % n_outputs)
        for place, one in enumerate(model["tree_info"])
    )
    kinds = found.missing
    if found.is_other or not trees or any(len(set(kind)) > 1 for kind in kinds.values()):
        return None
    zeros = frozenset(place for place, kind in kinds.items() if "None" in kind)
    return Trees(trees, n_features, n_outputs, True, np.float64, zeros)


class _Flat:
    """Makes arrays of LightGBM's nested nodes, and notes what has no place in them."""

    def __init__(self) -> None:
        self.is_other = False
        self.missing: dict[int, set[str]] = {}

    def tree(self, root: dict[str, Any], output: int) -> Tree:
        lines: list[list[Any]] = []
        stack = [(root, -1, 0)]
        while stack:
            node, parent, side = stack.pop()
            if parent >= 0:
                lines[parent][side] = len(lines)
            place = len(lines)
            lines.append(self._line(node))
            if "split_feature" in node:
                stack += [(node["right_child"], place, 1), (node["left_child"], place, 0)]
        left, right, feature, threshold, default, cover, value = zip(*lines, strict=True)
        return Tree(
            np.asarray(left),
            np.asarray(right),
            np.asarray(feature),
            np.asarray(threshold, dtype=np.float64),
            np.asarray(default, dtype=bool),
            np.asarray(cover, dtype=np.float64),
            np.asarray(value, dtype=np.float64),
            output,
        )

    def _line(self, node: dict[str, Any]) -> list[Any]:
        if "split_feature" not in node:
            self.is_other |= "leaf_coeff" in node  # a linear model in the leaf
            return [-1, -1, 0, 0.0, False, node.get("leaf_count", 0), node["leaf_value"]]
        feature, kind = node["split_feature"], node["missing_type"]
        self.is_other |= node["decision_type"] != "<=" or kind == "Zero"
        self.missing.setdefault(feature, set()).add(kind)
        threshold = 0.0 if self.is_other else float(node["threshold"])
        return [-1, -1, feature, threshold, node["default_left"], node["internal_count"], 0.0]
