"""Pictures of a model: what it gets right, what drives it, what drove one row.

Functions of the tables of ``baton.evaluation``, of an `Importance`, of `ShapValues` and of studies;
each returns a :class:`Picture`, a matplotlib figure with its title and what it shows in words. They
need no display and work in any thread. Computing the numbers belongs in those modules, laying out
a page in ``baton.showing.report``.
"""

from baton.showing.plots.explanations import (
    permutation_importance,
    shap_bar,
    shap_beeswarm,
    shap_dependence,
    shap_waterfall,
)
from baton.showing.plots.performance import (
    calibration_curve,
    confusion_matrix,
    metric_intervals,
    precision_recall_curves,
    predicted_vs_actual,
    residuals,
    roc_curves,
)
from baton.showing.plots.picture import Picture, png
from baton.showing.plots.search import search_pictures

__all__ = [
    "Picture",
    "calibration_curve",
    "confusion_matrix",
    "metric_intervals",
    "permutation_importance",
    "png",
    "precision_recall_curves",
    "predicted_vs_actual",
    "residuals",
    "roc_curves",
    "search_pictures",
    "shap_bar",
    "shap_beeswarm",
    "shap_dependence",
    "shap_waterfall",
]
