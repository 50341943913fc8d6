"""Exact Shapley values of scikit-learn's trees, forests and boosted trees, by ``shap``.

XGBoost and LightGBM have a TreeSHAP of their own, which belongs in ``boosters``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from baton.evaluation.shapley.matrices import numbers
from baton.evaluation.shapley.outputs import raw_output
from baton.evaluation.shapley.shap_internals import Ensemble, boosting_explainers

if TYPE_CHECKING:
    from collections.abc import Callable

    Array = np.ndarray[Any, np.dtype[Any]]


_OF_TREES = ("HistGradientBoosting", "RandomForest", "ExtraTrees")


def trees_of(estimator: Any) -> Trees | None:
    """Trees that shap explains exactly, None where it would be wrong or there are none."""
    kind = type(estimator).__name__
    if np.any(getattr(estimator, "is_categorical_", False)):
        return None  # shap would read codes as numbers
    if kind.startswith("GradientBoosting"):
        return Trees(lambda: boosting_explainers(estimator, _outputs(estimator)))
    if hasattr(estimator, "tree_") or kind.startswith(_OF_TREES):
        return Trees(lambda: _explainer(estimator))
    return None


@dataclass(frozen=True)
class Trees:
    """An ensemble of trees; what explains it is made once, at the first row."""

    make: Callable[[], list[Any]]
    """Makes one ``shap.TreeExplainer``, or one per output, or none if shap has none."""

    @cached_property
    def explainers(self) -> list[Any]:
        """What `make` made."""
        return self.make()

    def explain(self, X: Any) -> tuple[Array, Array]:
        """Shapley values (n, n_features, n_outputs) and base values; no output if shap has none."""
        rows = numbers(X)
        values, base = [np.empty((*rows.shape, 0))], [np.empty(0)]
        for explainer in self.explainers:
            found = np.asarray(explainer.shap_values(rows, check_additivity=False))
            values.append(found if found.ndim == 3 else found[:, :, None])
            base.append(np.ravel(explainer.expected_value))
        return _second_of_two(np.concatenate(values, axis=2), np.concatenate(base))


def _explainer(estimator: Any) -> list[Any]:
    import shap

    return [shap.TreeExplainer(estimator)]


def _second_of_two(values: Array, base: Array) -> tuple[Array, Array]:
    return (values[:, :, 1:], base[1:]) if len(base) == 2 else (values, base)


def _outputs(estimator: Any) -> list[Ensemble]:
    """Gradient boosting, one ensemble per output; its constant start is read off one row."""
    row = np.zeros((1, estimator.n_features_in_), dtype=np.float32)
    starts = raw_output(estimator, row)[0]
    rate = estimator.learning_rate
    ensembles = []
    for output, start in enumerate(starts):
        trees = list(estimator.estimators_[:, output])
        grown = rate * sum(float(tree.predict(row)[0]) for tree in trees)
        ensembles.append(Ensemble(trees, rate, float(start) - grown))
    return ensembles
