"""The picture of permutation importance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from baton.evaluation import metrics
from baton.showing.plots.picture import (
    BLACK,
    BLUE,
    MAX_FEATURES,
    Picture,
    best,
    drawn_in_style,
    grid,
    more,
    new_figure,
    plain,
    plains,
    with_unit,
)
from baton.words.text import counted

if TYPE_CHECKING:
    import pandas as pd

    from baton.evaluation.importance import Importance


@drawn_in_style
def permutation_importance(found: Importance, unit: str = "") -> Picture:
    """Loss of a metric when a column is shuffled, most important column first.

    Parameters
    ----------
    found : Importance
    unit : str
        Of the target; used if the metric is measured in it.
    """
    lines = found.frame()
    shown = lines.head(MAX_FEATURES)
    places = np.arange(len(shown))
    figure = new_figure(1.6 + 0.36 * len(shown))
    ax = figure.subplots()
    is_clear = (shown["mean"] - 2 * shown["std"] > 0).to_numpy()
    colours = [BLUE if clear else "#B5C9D9" for clear in is_clear]
    errors = {"ecolor": BLACK, "elinewidth": 1.3, "capsize": 3}
    ax.barh(places, shown["mean"], xerr=shown["std"], color=colours, error_kw=errors)
    ax.axvline(0, color=BLACK, linewidth=1)
    ax.set_yticks(places, plains(shown["feature"]))
    ax.set_ylim(len(shown) - 0.4, -0.6)
    grid(ax, "x")
    label, has_unit = loss_label(found.metric)
    ax.set_xlabel(with_unit(label, unit if has_unit else ""))
    title = "Permutation importance"
    ax.set_title(title)
    return Picture(
        "permutation_importance", title, _importance_alt(lines), _importance_note(found), figure
    )


def loss_label(metric: str) -> tuple[str, bool]:
    """Label of an importance in that metric, and whether it has the target's unit."""
    if metric not in metrics.INFO:
        return f"loss of {plain(metric)}", False
    info = metrics.INFO[metrics.parse(metric)]
    verb = "loss" if info.greater_is_better else "rise"
    return f"{verb} of {info.label} when the column is shuffled", info.has_target_unit


def _importance_alt(lines: pd.DataFrame) -> str:
    leaders = best(lines["feature"], lines["mean"])
    useless = int((lines["mean"] <= 0).sum())
    seen = f"Permutation importance of {counted(len(lines), 'feature')}, greatest first: {leaders}"
    if useless:
        seen += f"; shuffling {counted(useless, 'feature')} costs nothing"
    return f"{seen}."


def _importance_note(found: Importance) -> str:
    note = (
        f"Mean and standard deviation over {counted(found.raw.shape[1], 'shuffle')} of each"
        " column; pale where two standard deviations reach zero."
    )
    return f"{note} {more(len(found.features))}".strip()
