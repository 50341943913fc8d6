"""Shapley values of every row of any model: which method, and rows in parts.

One pure function for every model; what a method does belongs in the module of that method.
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from baton.evaluation.shapley.background import over_background
from baton.evaluation.shapley.boosters import (
    catboost_values,
    is_from,
    is_lightgbm,
    lightgbm_values,
    xgboost_scale,
    xgboost_values,
)
from baton.evaluation.shapley.linear import coefficients_of, linear_values
from baton.evaluation.shapley.matrices import Groups, feature_names, head, is_numeric, n_rows_of
from baton.evaluation.shapley.outputs import is_classifier, raw_output, scale_of
from baton.evaluation.shapley.quickened import quickened
from baton.evaluation.shapley.trees import trees_of
from baton.evaluation.shapley.values import Method, Scale, ShapValues
from baton.models import Ensemble, FittedModel
from baton.models.answers import output_of
from baton.models.boosters import MeanMargin
from baton.models.cat import Cat
from baton.models.deciding import AS_IT_IS
from baton.models.interface import Explain as Way
from baton.terms import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    Progress = Callable[[int, int], None]
    Array = np.ndarray[Any, np.dtype[Any]]
    Explain = Callable[[Any], tuple[Array, Array]]

CHUNK_CELLS = 5_000_000
"""Most cells of a matrix that are explained at once."""

_CHUNKS = 20
_CHUNK_ROWS = 500
_CHECKED_ROWS = 50
_TOLERANCE = 1e-4


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
    XGBoost, LightGBM, CatBoost                   margin       the engine's own TreeSHAP
                                                               (path-dependent, best iteration),
                                                               of many rows from tables
    boosters                                      margin       the mean of two of those
    ensemble of margins, or of numbers            as members'  the weighted mean of its members'
    ensemble of probabilities                     probability  background sample
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
    if isinstance(model, Ensemble):
        return _of_ensemble(model, X, background, seed, report)
    if isinstance(model, FittedModel):
        return _of_fitted(model, X, background, seed, report)
    return _of_plain(model, X, background, seed, report, feature_types=None)


def margin(model: Any, X: Any) -> Array:
    """What Shapley values sum to: the model's output on the scale that it is explained on.

    Returns
    -------
    array of shape (n_rows, n_outputs)
    """
    if isinstance(model, Ensemble):
        return _margin_of_ensemble(model, X)
    if isinstance(model, FittedModel):
        types = model.encoder.feature_types
        return raw_output(model.estimator, model.matrix(X), feature_types=types)
    return raw_output(model, X, feature_types=None)


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
    explain(head(X, 1))  # imports, compilation
    sample = 1
    while True:
        sample = min(sample * 4, n_rows)
        begun = time.perf_counter()
        explain(head(X, sample))
        taken = time.perf_counter() - begun
        if taken > 0.25 or sample == n_rows:
            return taken / sample * n_rows


def _silent(done: int, total: int) -> None:
    """Report to nobody."""


def _margin_of_ensemble(model: Ensemble, X: Any) -> Array:
    if model.explain is Way.ANY:
        return raw_output(_Whole(model), X)
    each = [margin(one, X) for one in model.members]
    return np.asarray(np.average(each, axis=0, weights=model.weights))


class _Whole:
    """An ensemble that answers as scikit-learn's estimators do, uncalibrated; classes are codes."""

    def __init__(self, model: Ensemble) -> None:
        self.model = replace(model, deciding=AS_IT_IS)
        if model.kind is Kind.CLASSIFICATION:
            self.classes_ = np.arange(len(model.classes))
            self.predict_proba = partial(output_of, self.model)

    def predict(self, X: Any) -> Array:
        """Numbers, or codes of classes."""
        found = output_of(self.model, X)
        return found if found.ndim == 1 else np.asarray(found.argmax(axis=1))


def _of_ensemble(
    model: Ensemble, X: pd.DataFrame, background: Any, seed: int, progress: Progress
) -> ShapValues:
    """Weighted mean of the members' values; of the whole, where a member has no exact ones."""
    if model.explain is Way.ANY:
        return _of_whole(model, X, background, seed, progress)
    found = []
    for place, one in enumerate(model.members, start=1):
        found.append(shap_values(one, X, background=background, seed=seed))
        progress(place * len(X) // len(model.members), len(X))
    methods, average = {one.method for one in found}, partial(np.average, weights=model.weights)
    if not methods <= {Method.TREE, Method.LINEAR}:
        return _of_whole(model, X, background, seed, progress)
    return replace(
        found[0],
        values=average([one.values for one in found], axis=0),
        base_values=average([one.base_values for one in found], axis=0),
        method=Method.TREE if methods == {Method.TREE} else Method.MEAN,
    )


def _of_whole(
    model: Ensemble, X: pd.DataFrame, background: Any, seed: int, progress: Progress
) -> ShapValues:
    names = list(model.encoder.column_names)
    behind = None if background is None else background[names]
    found = _of_plain(_Whole(model), X[names], behind, seed, progress, feature_types=None)
    return replace(found, classes=tuple(model.classes[code] for code in found.classes))


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
        groups=Groups(model.encoder.sources, len(model.encoder.columns)),
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
    groups: Groups | None = None,
) -> ShapValues:
    result = partial(_result, estimator, features=feature_names(estimator, X))
    by_engine = _of_engine(estimator, feature_types, n_rows_of(X))
    if by_engine is not None:
        explain, scale = by_engine
        return result(*_chunked(_by_user(explain, groups), X, progress), scale, Method.TREE)
    behind = X if background is None else background
    exact = _exact(estimator, behind, groups) if is_numeric(X) and n_rows_of(X) else None
    if exact is not None:
        explain, method = exact
        first = head(X, min(_CHECKED_ROWS, _chunk_rows(X)))
        if _adds_up(*explain(first), raw_output(estimator, first)):
            return result(*_chunked(explain, X, progress), scale_of(estimator), method)
    values, base, method = over_background(estimator, X, behind, groups, seed, progress)
    return result(values, base, scale_of(estimator), method)


def _of_engine(
    estimator: Any, feature_types: list[str] | None, n_rows: int
) -> tuple[Explain, Scale] | None:
    """Explainer and scale of what explains itself exactly."""
    if isinstance(estimator, MeanMargin):
        of_each = [_of_engine(one, feature_types, n_rows) for one in estimator.members]
        known = [one for one in of_each if one is not None]
        return partial(_mean, [explain for explain, _ in known]), known[0][1]
    if isinstance(estimator, Cat):
        scale = Scale.MARGIN if is_classifier(estimator) else Scale.VALUE
        return partial(catboost_values, estimator), scale
    if is_from(estimator, "xgboost"):
        explain = partial(xgboost_values, estimator, feature_types=feature_types)
        return quickened(estimator, explain, n_rows), xgboost_scale(estimator)
    if is_lightgbm(estimator):
        scale = Scale.MARGIN if is_classifier(estimator) else Scale.VALUE
        return quickened(estimator, partial(lightgbm_values, estimator), n_rows), scale
    return None


def _mean(of_each: list[Explain], X: Any) -> tuple[Array, Array]:
    """Mean of several explanations: Shapley values of a mean are the mean of theirs."""
    values, base = zip(*(explain(X) for explain in of_each), strict=True)
    return np.mean(values, axis=0), np.mean(base, axis=0)


def _by_user(explain: Explain, groups: Groups | None) -> Explain:
    """Explain in the user's columns, part by part: the encoded ones may be too many to keep."""
    if groups is None:
        return explain

    def summed(X: Any) -> tuple[Array, Array]:
        values, base = explain(X)
        return groups.sum(values), base

    return summed


def _exact(estimator: Any, background: Any, groups: Groups | None) -> tuple[Explain, Method] | None:
    """Exact explainer of a scikit-learn estimator, where there is one."""
    trees = trees_of(estimator)
    if trees is not None:
        return _by_user(trees.explain, groups), Method.TREE
    weights = coefficients_of(estimator)
    if weights is not None and n_rows_of(background):
        return partial(linear_values, *weights, background, groups), Method.LINEAR
    return None


def _result(
    estimator: Any, values: Array, base: Array, scale: Scale, how: Method, features: tuple[str, ...]
) -> ShapValues:
    labels = list(getattr(estimator, "classes_", [])) if is_classifier(estimator) else []
    n_outputs = len(base)
    classes = tuple(one.item() if hasattr(one, "item") else one for one in labels[-n_outputs:])
    return ShapValues(values, base, features, classes, scale, how)


def _chunked(explain: Explain, X: Any, progress: Progress) -> tuple[Array, Array]:
    """Explain in a few parts, so that somebody can watch; one row is as good alone as among all."""
    n_rows = n_rows_of(X)
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
    return max(1, CHUNK_CELLS // max(int(X.shape[1]), 1))


def _adds_up(values: Array, base: Array, output: Array) -> bool:
    if values.shape[2] != output.shape[1]:
        return False
    return bool(np.allclose(values.sum(axis=1) + base, output, rtol=_TOLERANCE, atol=_TOLERANCE))
