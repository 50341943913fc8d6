"""Shapley values: how much each column moved each prediction, and in which direction.

One pure function for every model; the engines are XGBoost's and LightGBM's own TreeSHAP,
``shap.TreeExplainer``, the linear model's formula and Shapley's own. Pictures and persistence
belong elsewhere.
"""

from baton.evaluation.shapley.background import BACKGROUND_ROWS, N_PERMUTATIONS
from baton.evaluation.shapley.expected import expected_seconds
from baton.evaluation.shapley.explain import estimate_seconds, margin, shap_values
from baton.evaluation.shapley.values import (
    Method,
    Scale,
    ShapValues,
    global_importance,
    strongest,
    unit_of,
)

__all__ = [
    "BACKGROUND_ROWS",
    "N_PERMUTATIONS",
    "Method",
    "Scale",
    "ShapValues",
    "estimate_seconds",
    "expected_seconds",
    "global_importance",
    "margin",
    "shap_values",
    "strongest",
    "unit_of",
]
