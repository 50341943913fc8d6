"""Pictures of a model: what it gets right, what drives it, what drove one row.

Functions of the tables of ``baton.evaluation``, of an `Importance`, of `ShapValues` and of studies;
each returns a :class:`Picture`, a matplotlib figure with its title and what it shows in words. They
need no display and work in any thread. Computing the numbers belongs in those modules, laying out
a page in ``baton.showing.report``.
"""

from baton.showing.plots.calibration import calibration_curve
from baton.showing.plots.confusion import confusion_matrix
from baton.showing.plots.curves import precision_recall_curves, roc_curves
from baton.showing.plots.importance import permutation_importance
from baton.showing.plots.leaderboard import leaderboard
from baton.showing.plots.metrics import metric_intervals
from baton.showing.plots.picture import Picture, png
from baton.showing.plots.regression import predicted_vs_actual, residuals
from baton.showing.plots.relations import schema
from baton.showing.plots.search import search_pictures
from baton.showing.plots.shap_feature import shap_dependence
from baton.showing.plots.shap_overall import shap_bar, shap_beeswarm
from baton.showing.plots.shap_row import shap_waterfall

__all__ = [
    "Picture",
    "calibration_curve",
    "confusion_matrix",
    "leaderboard",
    "metric_intervals",
    "permutation_importance",
    "png",
    "precision_recall_curves",
    "predicted_vs_actual",
    "residuals",
    "roc_curves",
    "schema",
    "search_pictures",
    "shap_bar",
    "shap_beeswarm",
    "shap_dependence",
    "shap_waterfall",
]
