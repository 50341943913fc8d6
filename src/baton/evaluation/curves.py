"""Tables that curves and matrices are drawn from: confusion, calibration, ROC, precision-recall.

Pure functions of arrays. Drawing belongs in ``baton.showing.plots``, single numbers in
``metrics``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from baton.evaluation.held_out import classified, coded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pandas as pd

    Array = np.ndarray[Any, np.dtype[Any]]


def confusion(y_true: Any, y_pred: Any, classes: Sequence[Any]) -> pd.DataFrame:
    """Confusion matrix.

    Returns
    -------
    DataFrame of shape (n_classes, n_classes)
        Counts; rows are true labels, columns predicted ones. Labels that the model never saw
        come last.
    """
    import pandas as pd
    from sklearn.metrics import confusion_matrix

    actual, labels = coded(y_true, classes)
    predicted, labels = coded(y_pred, labels)
    counts = confusion_matrix(actual, predicted, labels=np.arange(len(labels)))
    return pd.DataFrame(
        counts,
        index=pd.Index(list(labels), name="true"),
        columns=pd.Index(list(labels), name="predicted"),
    )


def calibration(
    y_true: Any, proba: Any, classes: Sequence[Any], *, n_bins: int = 10
) -> pd.DataFrame:
    """Calibration curve of every class, or of the second one of two.

    Returns
    -------
    DataFrame
        A line per class and bin of equal width that holds rows: ``class``, ``mean_predicted``,
        ``observed`` (part of the rows that are of the class) and ``n_rows``.
    """
    import pandas as pd
    from sklearn.calibration import calibration_curve

    curves = []
    for label, is_class, predicted in _one_against_rest(y_true, proba, classes):
        observed, mean = calibration_curve(is_class, predicted, n_bins=n_bins, pos_label=True)
        edges = np.linspace(0.0, 1.0, n_bins + 1)[1:-1]  # calibration_curve's own bins
        counts = np.bincount(np.searchsorted(edges, predicted), minlength=n_bins)
        columns = {"mean_predicted": mean, "observed": observed, "n_rows": counts[counts > 0]}
        curves.append(_labelled(label, columns))
    return pd.concat(curves, ignore_index=True)


def roc(y_true: Any, proba: Any, classes: Sequence[Any]) -> pd.DataFrame:
    """ROC curve of every class that has rows in it and out of it, or of the second one of two.

    Returns
    -------
    DataFrame
        ``class``, ``false_positive_rate``, ``true_positive_rate``, corners only.
    """
    from sklearn.metrics import roc_curve

    def points(is_class: Array, predicted: Array) -> dict[str, Array]:
        false, true, _ = roc_curve(is_class, predicted, pos_label=True)
        return {"false_positive_rate": false, "true_positive_rate": true}

    return _curves(y_true, proba, classes, points, ["false_positive_rate", "true_positive_rate"])


def precision_recall(y_true: Any, proba: Any, classes: Sequence[Any]) -> pd.DataFrame:
    """Precision-recall curve of every class, as :func:`roc`.

    Returns
    -------
    DataFrame
        ``class``, ``recall``, ``precision``.
    """
    from sklearn.metrics import precision_recall_curve

    def points(is_class: Array, predicted: Array) -> dict[str, Array]:
        precision, recall, _ = precision_recall_curve(
            is_class, predicted, pos_label=True, drop_intermediate=True
        )
        return {"recall": recall, "precision": precision}

    return _curves(y_true, proba, classes, points, ["recall", "precision"])


def _curves(
    y_true: Any,
    proba: Any,
    classes: Sequence[Any],
    points: Callable[[Array, Array], dict[str, Array]],
    columns: list[str],
) -> pd.DataFrame:
    import pandas as pd

    curves = [
        _labelled(label, points(is_class, predicted))
        for label, is_class, predicted in _one_against_rest(y_true, proba, classes)
        if is_class.any() and not is_class.all()
    ]
    if not curves:
        return pd.DataFrame(columns=["class", *columns])
    return pd.concat(curves, ignore_index=True)


def _one_against_rest(
    y_true: Any, proba: Any, classes: Sequence[Any]
) -> Iterator[tuple[Any, Array, Array]]:
    held = classified(y_true, proba, classes)
    for place in [1] if held.n_classes == 2 else range(held.n_classes):
        yield held.classes[place], held.codes == place, held.proba[:, place]


def _labelled(label: Any, columns: dict[str, Array]) -> pd.DataFrame:
    import pandas as pd

    frame = pd.DataFrame(columns)
    frame.insert(0, "class", [label] * len(frame))
    return frame
