"""Shapley values: how much each column moved each prediction, and in which direction.

One pure function for every model; the engines are XGBoost's and LightGBM's own TreeSHAP,
``shap.TreeExplainer``, the linear model's formula and Shapley's own. Pictures and persistence
belong elsewhere.
"""

from __future__ import annotations

import itertools
import math
import time
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from baton.errors import InputError
from baton.models import FittedModel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    Array = np.ndarray[Any, np.dtype[Any]]
    Progress = Callable[[int, int], None]

BACKGROUND_ROWS = 50
"""Rows that stand for "not known" where a model has no exact method."""

N_PERMUTATIONS = 10
"""Orders of the columns tried per row where a model has no exact method."""

_ENUMERATED_FEATURES = 6
_CHUNKS = 20
_CHUNK_ROWS = 500
_CHUNK_CELLS = 5_000_000
_CHECKED_ROWS = 50
_TOLERANCE = 1e-4


class Scale(StrEnum):
    """What base value and Shapley values of a row sum to."""

    MARGIN = "margin"
    """The model's raw output: log-odds, or a link function's argument."""
    PROBABILITY = "probability"
    """The class's probability."""
    VALUE = "value"
    """The predicted number, in the target's unit."""


class Method(StrEnum):
    """How the values were found."""

    TREE = "exact TreeSHAP"
    LINEAR = "exact linear"
    ENUMERATED = "all subsets of the columns, over a background sample"
    SAMPLED = "permutations of the columns, over a background sample"


@dataclass(frozen=True)
class ShapValues:
    """Shapley values of rows; every row's sum, plus the base value, is the model's output."""

    values: Array
    """Shape (n_rows, n_features, n_outputs)."""
    base_values: Array
    """Shape (n_outputs,)."""
    features: tuple[str, ...]
    classes: tuple[Any, ...]
    """Label of each output, of two classes the second; empty where outputs are no classes."""
    scale: Scale = Scale.MARGIN
    method: Method = Method.TREE

    @classmethod
    def of_frame(
        cls, lines: pd.DataFrame, row: str = "_row", *, scale: Scale, method: Method
    ) -> ShapValues:
        """Shapley values of a table that :meth:`frame` made."""
        labels = tuple(lines["_class"].drop_duplicates()) if "_class" in lines else ()
        n_outputs = len(labels) or 1
        own = [name for name in lines.columns if name not in {row, "_class", "_base_value"}]
        values = lines[own].to_numpy().reshape(-1, n_outputs, len(own))
        base = lines["_base_value"].to_numpy()[:n_outputs]
        return cls(np.moveaxis(values, 1, 2), base, tuple(own), labels, scale, method)

    def __repr__(self) -> str:
        n_rows, n_features, n_outputs = self.values.shape
        shape = f"{n_rows} rows, {n_features} features, {n_outputs} outputs"
        return f"ShapValues({shape}; {self.scale.value} scale, {self.method.value})"

    def frame(self, rows: Sequence[Any], row: str = "_row") -> pd.DataFrame:
        """One line per row and output, for a file.

        Parameters
        ----------
        rows : sequence of length n_rows
            Row ids.
        row : str
            The row id's column; ``_class`` (classification only) and ``_base_value`` follow it,
            then one column per feature.
        """
        import pandas as pd

        n_rows, n_features, n_outputs = self.values.shape
        lines = np.moveaxis(self.values, 1, 2).reshape(n_rows * n_outputs, n_features)
        frame = pd.DataFrame(lines, columns=list(self.features))
        frame.insert(0, "_base_value", np.tile(self.base_values, n_rows))
        if self.classes:
            codes: Any = np.tile(np.arange(n_outputs), n_rows)
            labels = pd.Categorical.from_codes(codes, categories=pd.Index(list(self.classes)))
            frame.insert(0, "_class", pd.Series(labels))
        frame.insert(0, row, np.repeat(np.asarray(rows), n_outputs))
        return frame


def shap_values(
    model: Any,
    X: Any,
    *,
    background: Any = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> ShapValues:
    """Shapley values of every row.

    Parameters
    ----------
    model : FittedModel or fitted estimator
    X : DataFrame or array of shape (n, n_features)
        Rows to explain; a table in the user's columns for a `FittedModel`.
    background : like X, optional
        Rows that stand for "not known", better from training; `X` if not given. Linear models
        use the mean of all of them, models without an exact method `BACKGROUND_ROWS` of them,
        chosen by `seed`; tree models need none.
    seed : int
        Of the background sample and the permutations.
    progress : callable, optional
        Called with the rows done and the rows in all.

    Returns
    -------
    ShapValues
        In the user's columns; a date's or a category's encoded columns are summed to it.

    Notes
    -----
    What the values sum to, by model:

    ============================================  ===========  ====================================
    model                                         scale        method
    ============================================  ===========  ====================================
    XGBoost, LightGBM                             margin       the engine's own TreeSHAP
                                                               (path-dependent, best iteration)
    decision tree, forest, extra trees (classes)  probability  ``shap.TreeExplainer``
    (hist) gradient boosting (classes)            margin       ``shap.TreeExplainer``
    trees, forests, boosting (numbers)            value        ``shap.TreeExplainer``
    linear with ``decision_function``             margin       coefficient · (x − mean)
    linear (numbers)                              value        coefficient · (x − mean)
    any other with ``decision_function``          margin       background sample
    any other with ``predict_proba``              probability  background sample
    any other                                     value        background sample
    ============================================  ===========  ====================================

    XGBoost regressions on another objective than squared or absolute error, which have a link
    function, are on the margin scale too. Where shap's exact method turns out not to sum to the
    model's output (it knows neither every link function nor categories in histogram trees), the
    background sample takes its place. For a `FittedModel` that sample is of the user's columns,
    not of what they are encoded to. Over a background sample, all subsets of up to six columns
    are tried, and ten permutations of more columns, forward and backward.

    Lundberg et al. (2020), Nature Machine Intelligence 2, 56-67.
    """
    report = progress or _silent
    if isinstance(model, FittedModel):
        return _of_fitted(model, X, background, seed, report)
    return _of_plain(model, X, background, seed, report, feature_types=None)


def margin(model: Any, X: Any) -> Array:
    """What Shapley values sum to: the model's output on the scale that it is explained on.

    Returns
    -------
    array of shape (n_rows, n_outputs)
    """
    if isinstance(model, FittedModel):
        types = model.encoder.feature_types
        return _margin(model.estimator, model.matrix(X), feature_types=types)
    return _margin(model, X, feature_types=None)


def estimate_seconds(model: Any, X: Any, *, background: Any = None) -> float:
    """Time that explaining `X` will take, from explaining a few of its rows.

    Returns
    -------
    float, in s
        Explains ever more rows until that takes a quarter of a second; 0 for no rows.
    """
    n_rows = len(X)
    if n_rows == 0:
        return 0.0
    explain = partial(shap_values, model, background=X if background is None else background)
    explain(_head(X, 1))  # imports, compilation
    sample = 1
    while True:
        sample = min(sample * 4, n_rows)
        begun = time.perf_counter()
        explain(_head(X, sample))
        taken = time.perf_counter() - begun
        if taken > 0.25 or sample == n_rows:
            return taken / sample * n_rows


def global_importance(found: ShapValues) -> pd.DataFrame:
    """Mean absolute Shapley value of every feature.

    Returns
    -------
    DataFrame
        One line per feature and class, features by their mean over the classes, greatest first:
        ``feature``, ``class`` (None where outputs are no classes) and ``mean_abs_shap``, on the
        scale of the values.
    """
    import pandas as pd

    n_rows, n_features, n_outputs = found.values.shape
    strength = np.abs(found.values).sum(axis=0, dtype=np.float64) / max(n_rows, 1)
    order = np.argsort(-strength.mean(axis=1), kind="stable")
    labels = list(found.classes) or [None] * n_outputs
    return pd.DataFrame(
        {
            "feature": np.repeat(np.asarray(found.features, dtype=object)[order], n_outputs),
            "class": pd.Series(labels * n_features, dtype=None if found.classes else object),
            "mean_abs_shap": strength[order].reshape(-1),
        }
    )


def _silent(done: int, total: int) -> None:
    """Report to nobody."""


def _head(X: Any, n_rows: int) -> Any:
    return X.iloc[:n_rows] if hasattr(X, "iloc") else X[:n_rows]


# --- which method ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Groups:
    """Which columns of the matrix each of the user's columns became; they stand side by side."""

    sources: Array
    n_features: int

    def sum(self, values: Array) -> Array:
        """Sum (n, n_encoded, n_outputs) to the user's columns."""
        if np.array_equal(self.sources, np.arange(self.n_features)):
            return values
        present, starts = np.unique(self.sources, return_index=True)
        summed = np.zeros((len(values), self.n_features, values.shape[2]), dtype=values.dtype)
        summed[:, present] = np.add.reduceat(values, starts, axis=1)
        return summed

    def blocks(self, matrix: Any) -> list[Any]:
        """Part a matrix, dense or sparse, into the user's columns."""
        edges = np.searchsorted(self.sources, np.arange(self.n_features + 1))
        return [matrix[:, begin:end] for begin, end in itertools.pairwise(edges)]


def _of_fitted(
    model: FittedModel, X: pd.DataFrame, background: Any, seed: int, progress: Progress
) -> ShapValues:
    found = _of_plain(
        model.estimator,
        model.matrix(X),
        None if background is None else model.matrix(background),
        seed,
        progress,
        feature_types=model.encoder.feature_types,
        groups=_Groups(model.encoder.sources, len(model.encoder.columns)),
    )
    return replace(
        found,
        features=tuple(model.encoder.column_names),
        classes=tuple(model.classes[code] for code in found.classes),
    )


def _of_plain(
    estimator: Any,
    X: Any,
    background: Any,
    seed: int,
    progress: Progress,
    *,
    feature_types: list[str] | None,
    groups: _Groups | None = None,
) -> ShapValues:
    result = partial(_result, estimator, features=_features(estimator, X))
    if _is_from(estimator, "xgboost"):
        explain = _by_user(partial(_xgboost, estimator, feature_types=feature_types), groups)
        return result(*_chunked(explain, X, progress), _xgboost_scale(estimator), Method.TREE)
    if _is_lightgbm(estimator):
        explain = _by_user(partial(_lightgbm, estimator), groups)
        scale = Scale.MARGIN if _is_classifier(estimator) else Scale.VALUE
        return result(*_chunked(explain, X, progress), scale, Method.TREE)
    behind = X if background is None else background
    exact = _exact(estimator, behind, groups) if _is_numeric(X) and _n_rows(X) else None
    if exact is not None:
        explain, method = exact
        first = _head(X, min(_CHECKED_ROWS, _chunk_rows(X)))
        if _adds_up(*explain(first), _margin(estimator, first)):
            return result(*_chunked(explain, X, progress), _scale(estimator), method)
    values, base, method = _over_background(estimator, X, behind, groups, seed, progress)
    return result(values, base, _scale(estimator), method)


def _by_user(
    explain: Callable[[Any], tuple[Array, Array]], groups: _Groups | None
) -> Callable[[Any], tuple[Array, Array]]:
    """Explain in the user's columns, part by part: the encoded ones may be too many to keep."""
    if groups is None:
        return explain

    def summed(X: Any) -> tuple[Array, Array]:
        values, base = explain(X)
        return groups.sum(values), base

    return summed


def _result(
    estimator: Any, values: Array, base: Array, scale: Scale, how: Method, features: tuple[str, ...]
) -> ShapValues:
    labels = list(getattr(estimator, "classes_", [])) if _is_classifier(estimator) else []
    n_outputs = len(base)
    classes = tuple(one.item() if hasattr(one, "item") else one for one in labels[-n_outputs:])
    return ShapValues(values, base, features, classes, scale, how)


def _features(estimator: Any, X: Any) -> tuple[str, ...]:
    if hasattr(X, "columns"):
        return tuple(map(str, X.columns))
    given = getattr(estimator, "feature_names_in_", None)
    if given is not None and len(given) == X.shape[1]:
        return tuple(map(str, given))
    return tuple(f"x{place}" for place in range(X.shape[1]))


def _is_from(estimator: Any, package: str) -> bool:
    return any(one.__module__.split(".")[0] == package for one in type(estimator).__mro__)


def _is_lightgbm(estimator: Any) -> bool:
    return any(_is_from(one, "lightgbm") for one in (estimator, getattr(estimator, "booster_", "")))


def _is_classifier(estimator: Any) -> bool:
    return hasattr(estimator, "classes_") and hasattr(estimator, "predict")


def _chunked(
    explain: Callable[[Any], tuple[Array, Array]], X: Any, progress: Progress
) -> tuple[Array, Array]:
    """Explain in a few parts, so that somebody can watch; one row is as good alone as among all."""
    n_rows = _n_rows(X)
    step = n_rows if progress is _silent else max(_CHUNK_ROWS, -(-n_rows // _CHUNKS))
    step = min(step, _chunk_rows(X))
    parts, base = [], np.empty(0)
    for begin in range(0, max(n_rows, 1), max(step, 1)):
        rows = slice(begin, begin + step)
        values, base = explain(X.iloc[rows] if hasattr(X, "iloc") else X[rows])
        parts.append(values)
        progress(min(begin + step, n_rows), n_rows)
    return (parts[0] if len(parts) == 1 else np.concatenate(parts)), base


def _chunk_rows(X: Any) -> int:
    return max(1, _CHUNK_CELLS // max(int(X.shape[1]), 1))


def _n_rows(X: Any) -> int:
    return int(X.shape[0]) if hasattr(X, "shape") else len(X)  # a sparse matrix has no len


def _parted(contributions: Array) -> tuple[Array, Array]:
    """Values and base values from an engine's array of shape (n, [outputs,] features + 1)."""
    whole = contributions[:, None, :] if contributions.ndim == 2 else contributions
    return np.moveaxis(whole[:, :, :-1], 1, 2), whole[0, :, -1].astype(np.float64)


def _adds_up(values: Array, base: Array, output: Array) -> bool:
    if values.shape[2] != output.shape[1]:
        return False
    return bool(np.allclose(values.sum(axis=1) + base, output, rtol=_TOLERANCE, atol=_TOLERANCE))


# --- engines --------------------------------------------------------------------------------------


def _xgboost(
    model: Any, X: Any, *, feature_types: list[str] | None, margins: bool = False
) -> tuple[Array, Array]:
    import xgboost

    booster = model if isinstance(model, xgboost.Booster) else model.get_booster()
    if _n_rows(X) == 0:  # the base values need a row
        values, base = _xgboost(
            model, np.full((1, X.shape[1]), np.nan), feature_types=feature_types
        )
        return values[:0], base
    types = feature_types or (None if hasattr(X, "columns") else booster.feature_types)
    missing = getattr(model, "missing", None)
    data = xgboost.DMatrix(
        X,
        missing=np.nan if missing is None else missing,
        nthread=getattr(model, "n_jobs", None),
        feature_types=getattr(model, "feature_types", None) or types,
        enable_categorical=True,
    )
    last = getattr(booster, "best_iteration", -1) + 1  # 0 is all of them
    kinds = {"output_margin": True} if margins else {"pred_contribs": True}
    found = booster.predict(data, iteration_range=(0, last), validate_features=False, **kinds)
    if margins:
        return found.reshape(_n_rows(X), -1), np.empty(0)
    return _parted(found)


def _xgboost_scale(model: Any) -> Scale:
    import json

    booster = model.get_booster() if hasattr(model, "get_booster") else model
    objective = json.loads(booster.save_config())["learner"]["objective"]["name"]
    has_no_link = objective in ("reg:squarederror", "reg:absoluteerror", "reg:pseudohubererror")
    return Scale.VALUE if has_no_link else Scale.MARGIN


def _lightgbm(model: Any, X: Any, *, margins: bool = False) -> tuple[Array, Array]:
    booster = getattr(model, "booster_", model)
    n_rows = _n_rows(X)
    if n_rows == 0:
        values, base = _lightgbm(model, np.full((1, X.shape[1]), np.nan))
        return values[:0], base
    if margins:
        return np.reshape(booster.predict(X, raw_score=True), (n_rows, -1)), np.empty(0)
    rows = X.toarray() if _is_sparse(X) else X  # what is not stored is a zero to LightGBM
    found = np.asarray(booster.predict(rows, pred_contrib=True))
    return _parted(found.reshape(n_rows, -1, X.shape[1] + 1))


def _exact(
    estimator: Any, background: Any, groups: _Groups | None
) -> tuple[Callable[[Any], tuple[Array, Array]], Method] | None:
    """Exact explainer of a scikit-learn estimator, where there is one."""
    ensembles = _ensembles(estimator)
    if ensembles is not None:
        return _by_user(partial(_by_trees, _Explainers(ensembles)), groups), Method.TREE
    weights = _weights(estimator)
    if weights is not None and _n_rows(background):
        return partial(_linear, *weights, background, groups), Method.LINEAR
    return None


def _ensembles(estimator: Any) -> Callable[[], list[Any]] | None:
    """What makes the ensembles of trees that an estimator is, as shap takes them."""
    kind = type(estimator).__name__
    if kind.startswith("HistGradientBoosting"):
        has_categories = np.any(estimator.is_categorical_)  # shap would read codes as numbers
        return None if has_categories else lambda: [estimator]
    if kind.startswith("GradientBoosting"):
        return lambda: _boosted(estimator)
    if hasattr(estimator, "tree_"):
        return lambda: [_forest([estimator])]
    if kind.startswith(("RandomForest", "ExtraTrees")):
        return lambda: [_forest(estimator.estimators_)]
    return None


class _Explainers:
    """``shap.TreeExplainer`` of each ensemble, made once, at the first row."""

    def __init__(self, make: Callable[[], list[Any]]) -> None:
        self._make = make

    @cached_property
    def all(self) -> list[Any]:
        import shap

        return [shap.TreeExplainer(one) for one in self._make()]


def _by_trees(explainers: _Explainers, X: Any) -> tuple[Array, Array]:
    """``shap.TreeExplainer`` of one ensemble, or of one per output."""
    rows = _numbers(X)
    values, base = [], []
    for explainer in explainers.all:
        found = np.asarray(explainer.shap_values(rows, check_additivity=False))
        values.append(found if found.ndim == 3 else found[:, :, None])
        base.append(np.ravel(explainer.expected_value))
    return _second_of_two(np.concatenate(values, axis=2), np.concatenate(base))


def _second_of_two(values: Array, base: Array) -> tuple[Array, Array]:
    return (values[:, :, 1:], base[1:]) if len(base) == 2 else (values, base)


def _forest(estimators: Any, weight: float | None = None, offset: float = 0.0) -> dict[str, Any]:
    """Trees as shap takes them, with the side that missing values go to, which it would drop."""
    share = 1.0 / len(estimators) if weight is None else weight
    is_class = hasattr(estimators[0], "classes_")
    trees = [_tree(estimator.tree_, share, is_class) for estimator in estimators]
    return {
        "trees": trees,
        "base_offset": offset,
        "tree_output": "raw_value",
        "input_dtype": np.float32,
        "internal_dtype": np.float64,
    }


def _tree(tree: Any, share: float, is_class: bool) -> dict[str, Array]:
    values = tree.value[:, 0, :]
    if is_class:
        values = values / values.sum(axis=1, keepdims=True)
    left, right = tree.children_left, tree.children_right
    return {
        "children_left": left,
        "children_right": right,
        "children_default": np.where(tree.missing_go_to_left, left, right),
        "features": tree.feature,
        "thresholds": tree.threshold,
        "values": values * share,
        "node_sample_weight": tree.weighted_n_node_samples,
    }


def _boosted(estimator: Any) -> list[Any]:
    """Gradient boosting, one ensemble per output; its constant start is read off one row."""
    row = np.zeros((1, estimator.n_features_in_), dtype=np.float32)
    starts = _margin(estimator, row)[0]
    rate = estimator.learning_rate
    ensembles = []
    for output, start in enumerate(starts):
        trees = list(estimator.estimators_[:, output])
        grown = rate * sum(float(tree.predict(row)[0]) for tree in trees)
        ensembles.append(_forest(trees, rate, float(start) - grown))
    return ensembles


def _weights(estimator: Any) -> tuple[Array, Array] | None:
    """Coefficients (n_outputs, n_features) and intercepts (n_outputs,) of a linear model."""
    if type(estimator).__name__ == "OneVsRestClassifier":
        found = [_weights(one) for one in estimator.estimators_]
        known = [one for one in found if one is not None]
        if len(known) < len(found):
            return None
        return np.concatenate([one[0] for one in known]), np.concatenate([one[1] for one in known])
    is_linear = hasattr(estimator, "coef_") and hasattr(estimator, "intercept_")
    if not is_linear or hasattr(estimator, "kernel"):
        return None
    coefficients = np.atleast_2d(np.asarray(estimator.coef_, dtype=np.float64))
    return coefficients, np.broadcast_to(np.ravel(estimator.intercept_), len(coefficients))


def _linear(
    coefficients: Array, intercepts: Array, background: Any, groups: _Groups | None, X: Any
) -> tuple[Array, Array]:
    """Coefficient times distance from the background's mean; never densifies a sparse matrix."""
    from scipy.sparse import csr_matrix

    n_encoded = coefficients.shape[1]
    sources = np.arange(n_encoded) if groups is None else groups.sources
    shape = n_encoded, (n_encoded if groups is None else groups.n_features)
    rows, behind = (one if _is_sparse(one) else _numbers(one) for one in (X, background))
    mean = np.asarray(behind.mean(axis=0)).ravel()
    values = []
    for weights in coefficients:
        by_user = csr_matrix((weights, (np.arange(n_encoded), sources)), shape=shape)
        moved = rows @ by_user
        values.append((moved.toarray() if _is_sparse(moved) else moved) - mean @ by_user)
    return np.stack(values, axis=2), np.asarray(intercepts + coefficients @ mean)


def _over_background(
    estimator: Any,
    X: Any,
    background: Any,
    groups: _Groups | None,
    seed: int,
    progress: Progress,
) -> tuple[Array, Array, Method]:
    """Any model: the mean over a sample of the background stands for "not known"."""
    if _n_rows(background) == 0:
        raise InputError("no rows to take a background sample from")
    behind = _sample(background, seed)
    rows, known, restore = _coded(X, behind) if groups is None else _placed(X, behind, groups)
    is_small = rows.shape[1] <= _ENUMERATED_FEATURES

    def output(coded: Array) -> Array:
        return _margin(estimator, restore(coded))

    base = output(known).mean(axis=0)
    values = np.zeros((*rows.shape, len(base)))
    for place, row in enumerate(rows):
        differs = np.flatnonzero((known != row).any(axis=0))  # no other column can move it
        expect = partial(_expected, output, row, known, differs)
        if is_small:
            values[place, differs] = _enumerated(expect, len(differs))
        else:
            values[place, differs] = _permuted(expect, len(differs), [seed, place])
        progress(place + 1, len(rows))
    return values, base, Method.ENUMERATED if is_small else Method.SAMPLED


def _expected(
    output: Callable[[Array], Array], row: Array, known: Array, columns: Array, chosen: Array
) -> Array:
    """Mean output with the chosen of the columns as in the row, the others as in the background.

    Parameters
    ----------
    chosen : bool array of shape (n_subsets, number of `columns`)

    Returns
    -------
    array of shape (n_subsets, n_outputs)
    """
    masks = np.zeros((len(chosen), len(row)), dtype=bool)
    masks[:, columns] = chosen
    mixed = np.where(masks[:, None, :], row, known)
    found = output(mixed.reshape(-1, len(row)))
    return np.asarray(found.reshape(*mixed.shape[:2], -1).mean(axis=1))


def _enumerated(expect: Callable[[Array], Array], n: int) -> Array:
    """Shapley's formula over every subset of `n` columns: array of shape (n, n_outputs)."""
    subsets = np.arange(2**n)
    chosen = (subsets[:, None] >> np.arange(n)) % 2 == 1
    worth = expect(chosen)
    sizes = chosen.sum(axis=1)
    values = np.zeros((n, worth.shape[1]))
    for place in range(n):
        without = subsets[~chosen[:, place]]
        weights = [1 / (n * math.comb(n - 1, size)) for size in sizes[without]]
        values[place] = weights @ (worth[without | 1 << place] - worth[without])
    return values


def _permuted(expect: Callable[[Array], Array], n: int, seed: list[int]) -> Array:
    """What each of `n` columns adds in random orders, forward and backward: (n, n_outputs)."""
    random = np.random.default_rng(seed)
    total: Any = 0.0
    for order in (random.permutation(n) for _ in range(N_PERMUTATIONS)):
        for one in (order, order[::-1]):
            ranks = np.argsort(one)
            chosen = np.arange(n + 1)[:, None] > ranks
            total = total + np.diff(expect(chosen), axis=0)[ranks]
    return np.asarray(total / (2 * N_PERMUTATIONS))


def _sample(background: Any, seed: int) -> Any:
    n_rows = _n_rows(background)
    chosen = np.random.default_rng(seed).permutation(n_rows)[:BACKGROUND_ROWS]
    places = np.sort(chosen)
    return background.iloc[places] if hasattr(background, "iloc") else background[places]


# --- outputs and inputs ---------------------------------------------------------------------------


def _margin(estimator: Any, X: Any, feature_types: list[str] | None = None) -> Array:
    if _is_from(estimator, "xgboost"):
        return _xgboost(estimator, X, feature_types=feature_types, margins=True)[0]
    if _is_lightgbm(estimator):
        return _lightgbm(estimator, X, margins=True)[0]
    if _answers(estimator) == "decision_function":
        found = np.asarray(estimator.decision_function(X), dtype=np.float64)
        return found.reshape(len(found), -1)
    if _answers(estimator) == "predict_proba":
        found = np.asarray(estimator.predict_proba(X), dtype=np.float64)
        return found[:, 1:] if found.shape[1] == 2 else found
    return np.asarray(estimator.predict(X), dtype=np.float64).reshape(_n_rows(X), -1)


def _answers(estimator: Any) -> str:
    is_one_against_one = getattr(estimator, "decision_function_shape", "ovr") == "ovo"
    if hasattr(estimator, "decision_function") and not is_one_against_one:
        return "decision_function"
    return "predict_proba" if hasattr(estimator, "predict_proba") else "predict"


def _scale(estimator: Any) -> Scale:
    scales = {"decision_function": Scale.MARGIN, "predict_proba": Scale.PROBABILITY}
    return scales.get(_answers(estimator), Scale.VALUE)


def _is_numeric(X: Any) -> bool:
    from pandas.api.types import is_numeric_dtype

    return all(map(is_numeric_dtype, X.dtypes if hasattr(X, "dtypes") else [X.dtype]))


def _numbers(X: Any) -> Array:
    if hasattr(X, "columns"):
        return np.asarray(X.to_numpy(dtype=np.float64, na_value=np.nan))
    return np.asarray(X.toarray() if _is_sparse(X) else X, dtype=np.float64)


def _placed(
    X: Any, background: Any, groups: _Groups
) -> tuple[Array, Array, Callable[[Array], Any]]:
    """The user's columns as places of rows, and the way back to the matrix.

    A date or a category is one column however many it is encoded to. Equal values are one place.
    """
    from scipy.sparse import hstack, vstack

    is_sparse = _is_sparse(X)
    whole = vstack([X, background], format="csr") if is_sparse else np.vstack([X, background])
    blocks = groups.blocks(whole)
    places = np.column_stack([_first_places(block) for block in blocks])

    def restore(found: Array) -> Any:
        parts = [block[found[:, place].astype(np.intp)] for place, block in enumerate(blocks)]
        return hstack(parts, format="csr") if is_sparse else np.hstack(parts)

    n_rows = _n_rows(X)
    return places[:n_rows], places[n_rows:], restore


def _first_places(block: Any) -> Array:
    """For every row, the place of the first row that equals it."""
    first: dict[Any, int] = {}
    found = np.empty(block.shape[0])
    for place in range(block.shape[0]):
        row = block[place]
        key = (row.indices.tobytes(), row.data.tobytes()) if _is_sparse(row) else row.tobytes()
        found[place] = first.setdefault(key, place)
    return found


def _is_sparse(X: Any) -> bool:
    return hasattr(X, "toarray")


def _coded(X: Any, background: Any) -> tuple[Array, Array, Callable[[Array], Any]]:
    """Rows as numbers, and the way back to what the estimator takes."""
    if not hasattr(X, "columns"):
        return _numbers(X), _numbers(background), lambda coded: coded
    import pandas as pd

    whole = pd.concat([X, background], ignore_index=True)
    columns = [_coded_column(whole.iloc[:, place]) for place in range(whole.shape[1])]
    coded = np.column_stack([values for values, _ in columns])

    def restore(found: Array) -> pd.DataFrame:
        restored = [back(found[:, place]) for place, (_, back) in enumerate(columns)]
        frame = pd.concat([pd.Series(one) for one in restored], axis=1)
        frame.columns = whole.columns
        return frame

    return coded[: len(X)], coded[len(X) :], restore


def _coded_column(values: pd.Series) -> tuple[Array, Callable[[Array], Any]]:
    import pandas as pd

    if isinstance(values.dtype, np.dtype) and values.dtype.kind in "fiub":
        return values.to_numpy(np.float64), lambda found: found.astype(values.dtype)
    codes, levels = pd.factorize(values.array, use_na_sentinel=True)

    def back(found: Array) -> Any:
        return pd.Series(levels).array.take(found.astype(np.intp), allow_fill=True)

    return codes.astype(np.float64), back
