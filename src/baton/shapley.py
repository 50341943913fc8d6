"""Shapley values: how much each column moved each prediction, and in which direction.

One pure function for every model; the engines are XGBoost's and LightGBM's own TreeSHAP and the
explainers of ``shap``. Pictures and persistence belong elsewhere.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
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
    linear with ``decision_function``             margin       ``shap.LinearExplainer``
    linear (numbers)                              value        ``shap.LinearExplainer``
    any other with ``decision_function``          margin       background sample
    any other with ``predict_proba``              probability  background sample
    any other                                     value        background sample
    ============================================  ===========  ====================================

    XGBoost regressions on another objective than squared or absolute error, which have a link
    function, are on the margin scale too. Where shap's exact method turns out not to sum to the
    model's output (it knows neither every link function nor categories in histogram trees), the
    background sample takes its place. Over a background sample, all subsets of up to six columns
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
    """Mean |Shapley value| of every feature.

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


def _of_fitted(
    model: FittedModel, X: pd.DataFrame, background: Any, seed: int, progress: Progress
) -> ShapValues:
    behind = None if background is None else model.matrix(background)
    found = _of_plain(
        model.estimator,
        model.matrix(X),
        behind,
        seed,
        progress,
        feature_types=model.encoder.feature_types,
    )
    labels = model.classes
    return ShapValues(
        values=_summed(found.values, model.encoder.sources, len(model.encoder.columns)),
        base_values=found.base_values,
        features=tuple(model.encoder.column_names),
        classes=tuple(labels[code] for code in found.classes),
        scale=found.scale,
        method=found.method,
    )


def _summed(values: Array, sources: Array, n_features: int) -> Array:
    """Sum encoded columns to the user's columns that they come from."""
    if np.array_equal(sources, np.arange(n_features)):
        return values
    summed = np.zeros((values.shape[0], n_features, values.shape[2]), dtype=values.dtype)
    for place, feature in enumerate(sources):
        summed[:, feature] += values[:, place]
    return summed


def _of_plain(
    estimator: Any,
    X: Any,
    background: Any,
    seed: int,
    progress: Progress,
    *,
    feature_types: list[str] | None,
) -> ShapValues:
    features = _features(estimator, X)
    if _is_from(estimator, "xgboost"):
        values, base = _chunked(
            partial(_xgboost, estimator, feature_types=feature_types), X, progress
        )
        return _result(estimator, values, base, features, _xgboost_scale(estimator), Method.TREE)
    if _is_from(estimator, "lightgbm"):
        values, base = _chunked(partial(_lightgbm, estimator), X, progress)
        scale = Scale.MARGIN if _is_classifier(estimator) else Scale.VALUE
        return _result(estimator, values, base, features, scale, Method.TREE)
    behind = X if background is None else background
    scale = _scale(estimator)
    exact = _exact(estimator, behind) if _is_numeric(X) else None
    if exact is not None and len(X):
        explain, method = exact
        values, base = explain(_head(X, _CHECKED_ROWS))
        if _adds_up(values, base, _margin(estimator, _head(X, _CHECKED_ROWS))):
            values, base = _chunked(explain, X, progress)
            return _result(estimator, values, base, features, scale, method)
    values, base, method = _over_background(estimator, X, behind, seed, progress)
    return _result(estimator, values, base, features, scale, method)


def _result(
    estimator: Any, values: Array, base: Array, features: tuple[str, ...], scale: Scale, how: Method
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


def _is_classifier(estimator: Any) -> bool:
    return hasattr(estimator, "classes_") and hasattr(estimator, "predict")


def _chunked(
    explain: Callable[[Any], tuple[Array, Array]], X: Any, progress: Progress
) -> tuple[Array, Array]:
    """Explain in a few parts, so that somebody can watch; one row is as good alone as among all."""
    n_rows = len(X)
    step = n_rows if progress is _silent else max(_CHUNK_ROWS, -(-n_rows // _CHUNKS))
    parts, base = [], np.empty(0)
    for begin in range(0, max(n_rows, 1), max(step, 1)):
        rows = slice(begin, begin + step)
        values, base = explain(X.iloc[rows] if hasattr(X, "iloc") else X[rows])
        parts.append(values)
        progress(min(begin + step, n_rows), n_rows)
    return (parts[0] if len(parts) == 1 else np.concatenate(parts)), base


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
    if len(X) == 0:  # the base values need a row
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
        return found.reshape(len(X), -1), np.empty(0)
    return _parted(found)


def _xgboost_scale(model: Any) -> Scale:
    import json

    booster = model.get_booster() if hasattr(model, "get_booster") else model
    objective = json.loads(booster.save_config())["learner"]["objective"]["name"]
    has_no_link = objective in ("reg:squarederror", "reg:absoluteerror", "reg:pseudohubererror")
    return Scale.VALUE if has_no_link else Scale.MARGIN


def _lightgbm(model: Any, X: Any, *, margins: bool = False) -> tuple[Array, Array]:
    booster = getattr(model, "booster_", model)
    if len(X) == 0:
        values, base = _lightgbm(model, np.full((1, X.shape[1]), np.nan))
        return values[:0], base
    if margins:
        return np.reshape(booster.predict(X, raw_score=True), (len(X), -1)), np.empty(0)
    found = np.asarray(booster.predict(X, pred_contrib=True))
    return _parted(found.reshape(len(X), -1, X.shape[1] + 1))


def _exact(
    estimator: Any, background: Any
) -> tuple[Callable[[Any], tuple[Array, Array]], Method] | None:
    """Shap's exact explainer of a scikit-learn estimator, where it has one."""
    kind = type(estimator).__name__
    if kind.startswith("HistGradientBoosting"):
        return partial(_by_trees, [estimator]), Method.TREE
    if kind.startswith("GradientBoosting"):
        return partial(_boosted, estimator), Method.TREE
    if hasattr(estimator, "tree_"):
        return partial(_by_trees, [_forest([estimator])]), Method.TREE
    if kind.startswith(("RandomForest", "ExtraTrees")):
        return partial(_by_trees, [_forest(estimator.estimators_)]), Method.TREE
    is_linear = hasattr(estimator, "coef_") and hasattr(estimator, "intercept_")
    if is_linear and not hasattr(estimator, "kernel") and len(background):
        return partial(_linear, estimator, background), Method.LINEAR
    return None


def _by_trees(ensembles: list[Any], X: Any) -> tuple[Array, Array]:
    """``shap.TreeExplainer`` of one ensemble, or of one per output."""
    import shap

    rows = _numbers(X)
    values, base = [], []
    for ensemble in ensembles:
        explainer = shap.TreeExplainer(ensemble)
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


def _boosted(estimator: Any, X: Any) -> tuple[Array, Array]:
    """Gradient boosting, one ensemble per output; its constant start is read off one row."""
    first = _head(X, 1)
    row = _numbers(first).astype(np.float32)
    starts = _margin(estimator, first)[0]
    rate = estimator.learning_rate
    ensembles = []
    for output, start in enumerate(starts):
        trees = list(estimator.estimators_[:, output])
        grown = rate * sum(float(tree.predict(row)[0]) for tree in trees)
        ensembles.append(_forest(trees, rate, float(start) - grown))
    return _by_trees(ensembles, X)


def _linear(estimator: Any, background: Any, X: Any) -> tuple[Array, Array]:
    import shap

    rows = _numbers(background)
    masker = shap.maskers.Independent(rows, max_samples=len(rows))
    explainer = shap.LinearExplainer(estimator, masker)
    found = np.asarray(explainer.shap_values(_numbers(X)))
    whole = found if found.ndim == 3 else found[:, :, None]
    return whole, np.ravel(explainer.expected_value).astype(np.float64)


def _over_background(
    estimator: Any, X: Any, background: Any, seed: int, progress: Progress
) -> tuple[Array, Array, Method]:
    """Shap's model-agnostic explainers, on a sample of the background."""
    import shap

    if len(background) == 0:
        raise InputError("no rows to take a background sample from")
    behind = _sample(background, seed)
    rows, known, restore = _coded(X, behind)
    masker = shap.maskers.Independent(known, max_samples=len(known))
    n_features = rows.shape[1]
    is_small = n_features <= _ENUMERATED_FEATURES

    def output(coded: Array) -> Array:
        return _margin(estimator, restore(coded))

    base = output(known).mean(axis=0)
    values = np.zeros((len(rows), n_features, len(base)))
    state = np.random.get_state()  # shap seeds the process's own stream
    try:
        for place in range(len(rows)):
            if is_small:
                explainer = shap.explainers.Exact(output, masker)
                found = explainer(rows[place : place + 1], max_evals=2**n_features, silent=True)
            else:
                explainer = shap.explainers.Permutation(output, masker, seed=seed + place)
                evaluations = N_PERMUTATIONS * (2 * n_features + 1)
                found = explainer(rows[place : place + 1], max_evals=evaluations, silent=True)
            values[place] = np.reshape(found.values, (n_features, len(base)))
            progress(place + 1, len(rows))
    finally:
        np.random.set_state(state)
    return values, base, Method.ENUMERATED if is_small else Method.SAMPLED


def _sample(background: Any, seed: int) -> Any:
    n_rows = len(background)
    chosen = np.random.default_rng(seed).permutation(n_rows)[:BACKGROUND_ROWS]
    places = np.sort(chosen)
    return background.iloc[places] if hasattr(background, "iloc") else background[places]


# --- outputs and inputs ---------------------------------------------------------------------------


def _margin(estimator: Any, X: Any, feature_types: list[str] | None = None) -> Array:
    if _is_from(estimator, "xgboost"):
        return _xgboost(estimator, X, feature_types=feature_types, margins=True)[0]
    if _is_from(estimator, "lightgbm"):
        return _lightgbm(estimator, X, margins=True)[0]
    if _answers(estimator) == "decision_function":
        found = np.asarray(estimator.decision_function(X), dtype=np.float64)
        return found.reshape(len(found), -1)
    if _answers(estimator) == "predict_proba":
        found = np.asarray(estimator.predict_proba(X), dtype=np.float64)
        return found[:, 1:] if found.shape[1] == 2 else found
    return np.asarray(estimator.predict(X), dtype=np.float64).reshape(len(X), -1)


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
    return np.asarray(X, dtype=np.float64)


def _coded(X: Any, background: Any) -> tuple[Array, Array, Callable[[Array], Any]]:
    """Rows as numbers for shap, and the way back to what the estimator takes."""
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
