"""What shap does not promise to keep, with the public way to fall back to.

``shap.TreeExplainer`` reads trees from a dictionary, a form that its documentation does not name.
Nothing else of Baton's knows that form.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from baton.internals import GONE, reach

if TYPE_CHECKING:
    from collections.abc import Sequence

    Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Ensemble:
    """Regression trees of scikit-learn's whose weighted sum, plus an offset, is one output."""

    trees: Sequence[Any]
    weight: float
    offset: float


def boosting_explainers(estimator: Any, ensembles: Sequence[Ensemble]) -> list[Any]:
    """``shap.TreeExplainer`` of every output of a gradient boosting, made from a dictionary.

    The public way, shap does not know gradient boosting of more than two classes.

    Parameters
    ----------
    estimator : fitted GradientBoostingClassifier or GradientBoostingRegressor
    ensembles : sequence of Ensemble
        One per output.

    Returns
    -------
    list of shap.TreeExplainer
        One per output; the public way one of the estimator, or none if shap does not know it.
    """
    found = _of_dictionaries(ensembles)
    return _of_estimator(estimator) if found is None else found


@reach(
    "shap takes no dictionary of trees: gradient boosting is explained more slowly",
    (*GONE, KeyError, ValueError),  # shap refuses a model by a ValueError
)
def _of_dictionaries(ensembles: Sequence[Ensemble]) -> list[Any]:
    import shap

    return [shap.TreeExplainer(_as_dictionary(one)) for one in ensembles]


def _of_estimator(estimator: Any) -> list[Any]:
    import shap

    try:
        return [shap.TreeExplainer(estimator)]
    except ValueError:
        return []


def _as_dictionary(ensemble: Ensemble) -> dict[str, Any]:
    return {
        "trees": [_tree(one.tree_, ensemble.weight) for one in ensemble.trees],
        "base_offset": ensemble.offset,
        "tree_output": "raw_value",
        "input_dtype": np.float32,
        "internal_dtype": np.float64,
    }


def _tree(tree: Any, weight: float) -> dict[str, Array]:
    left, right = tree.children_left, tree.children_right
    return {
        "children_left": left,
        "children_right": right,
        "children_default": np.where(tree.missing_go_to_left, left, right),
        "features": tree.feature,
        "thresholds": tree.threshold,
        "values": tree.value[:, 0, :] * weight,
        "node_sample_weight": tree.weighted_n_node_samples,
    }
