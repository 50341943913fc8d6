"""The picture of which classes are taken for which."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from baton.showing.plots.picture import BLACK, Picture, drawn_in_style, new_figure, plains
from baton.words.text import counted, elide, percent

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    Array = np.ndarray[Any, np.dtype[Any]]

_ANNOTATED_CLASSES = 12
_NAMED_CLASSES = 40


@drawn_in_style
def confusion_matrix(counts: pd.DataFrame) -> Picture:
    """Confusion matrix, coloured by the share of each true class.

    Parameters
    ----------
    counts : DataFrame of shape (n_classes, n_classes)
        From :func:`baton.evaluation.curves.confusion`.
    """
    values = counts.to_numpy(dtype=np.float64)
    totals = values.sum(axis=1, keepdims=True)
    shares = np.divide(values, totals, out=np.full(values.shape, np.nan), where=totals > 0)
    size = len(values)
    figure = new_figure(min(7.2, 3.2 + 0.5 * size))
    ax = figure.subplots()
    colours = _blues()
    image = ax.imshow(shares, cmap=colours, vmin=0, vmax=1, interpolation="nearest")
    if size <= _ANNOTATED_CLASSES:
        _annotate(ax, values, shares)
    _name_classes(ax, counts)
    bar = figure.colorbar(image, ax=ax, format=_percent_ticks(), shrink=0.9)
    bar.set_label("share of the true class")
    bar.outline.set_visible(False)
    title = "Confusion matrix"
    ax.set_title(title)
    return Picture(
        "confusion_matrix", title, _confusion_alt(counts, shares), _CONFUSION_NOTE, figure
    )


_CONFUSION_NOTE = (
    "Rows are true classes, columns predicted ones. A cell's colour is its share of the true"
    " class; right predictions stand on the diagonal."
)


def _blues() -> Any:
    import matplotlib

    colours = matplotlib.colormaps["Blues"].copy()
    colours.set_bad("#EEEEEE")
    return colours


def _percent_ticks() -> Any:
    from matplotlib.ticker import PercentFormatter

    return PercentFormatter(1.0, decimals=0, symbol=" %")


def _annotate(ax: Axes, values: Array, shares: Array) -> None:
    size = len(values)
    has_shares = size <= 6
    for (row, column), count in np.ndenumerate(values):
        share = shares[row, column]
        text = f"{count:,.0f}"
        if has_shares and np.isfinite(share):
            text += f"\n{percent(float(share))}"
        colour = "white" if share > 0.55 else BLACK
        ax.text(
            column,
            row,
            text,
            ha="center",
            va="center",
            color=colour,
            fontsize=12 if has_shares else 9,
        )


def _name_classes(ax: Axes, counts: pd.DataFrame) -> None:
    """Name every class, or every n-th of very many."""
    size = len(counts)
    step = max(1, -(-size // _NAMED_CLASSES))
    places = np.arange(0, size, step)
    names = plains(counts.index, 18)
    shown = [names[place] for place in places]
    is_tight = max(map(len, shown)) * size > 60
    fontsize = 11 if size <= 15 else 8
    ax.set_xticks(places, shown, rotation=90 if is_tight else 0, fontsize=fontsize)
    ax.set_yticks(places, shown, fontsize=fontsize)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_xlabel("predicted")
    ax.set_ylabel("true")


def _confusion_alt(counts: pd.DataFrame, shares: Array) -> str:
    values = counts.to_numpy()
    total = int(values.sum())
    right = np.trace(values) / max(total, 1)
    seen = f"Confusion matrix of {counted(len(values), 'class', 'classes')}: "
    seen += f"{percent(right)} of {counted(total, 'row')} on the diagonal"
    wrong = np.where(np.eye(len(values), dtype=bool), -1, values)
    row, column = divmod(int(wrong.argmax()), len(wrong))
    if wrong.max(initial=0) <= 0:
        return f"{seen}; none is confused."
    actual, taken = elide(counts.index[row]), elide(counts.columns[column])
    share = percent(float(shares[row, column]))
    return f"{seen}; most often confused: {actual} taken for {taken} ({share} of {actual})."
