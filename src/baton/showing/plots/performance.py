"""Pictures of how good a model is.

Functions of the tables and the dictionaries of ``baton.evaluation.metrics``. What drives the
model belongs in ``baton.showing.plots.explanations``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from baton.errors import InputError
from baton.evaluation import metrics
from baton.showing.plots.picture import (
    BLACK,
    BLUE,
    COLOURS,
    DASHES,
    GREY,
    ORANGE,
    SCATTERED_ROWS,
    SKY,
    Picture,
    drawn_in_style,
    entitle,
    grid,
    new_figure,
    plain,
    plains,
    with_unit,
)
from baton.words.text import counted, elide, elided, number, percent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    Array = np.ndarray[Any, np.dtype[Any]]

MAX_CURVES = 10
"""Most classes that have a curve each; above it, the mean of all and the worst few."""

_WORST_CURVES = 5
_ANNOTATED_CLASSES = 12
_NAMED_CLASSES = 40

# --- classification -------------------------------------------------------------------------------


@drawn_in_style
def confusion_matrix(counts: pd.DataFrame) -> Picture:
    """Confusion matrix, coloured by the share of each true class.

    Parameters
    ----------
    counts : DataFrame of shape (n_classes, n_classes)
        From :func:`baton.evaluation.metrics.confusion`.
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


@drawn_in_style
def roc_curves(curves: pd.DataFrame) -> Picture:
    """ROC curves, one class against the rest.

    Parameters
    ----------
    curves : DataFrame
        From :func:`baton.evaluation.metrics.roc`.
    """
    found = _curves(curves, "false_positive_rate", "true_positive_rate", _trapezoid)
    figure = new_figure(5.4)
    ax = figure.subplots()
    ax.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=(0, (2, 3)), label="chance: 0.5")
    _draw_curves(ax, found, "AUC")
    ax.set_xlabel("false positive rate")
    ax.set_ylabel("true positive rate")
    title = "ROC curve" if len(found) == 1 else "ROC curves, each class against the rest"
    ax.set_title(title)
    return Picture(
        "roc", title, _curves_alt(title, found, "the area under it"), _curve_note(found), figure
    )


@drawn_in_style
def precision_recall_curves(curves: pd.DataFrame) -> Picture:
    """Precision-recall curves, one class against the rest.

    Parameters
    ----------
    curves : DataFrame
        From :func:`baton.evaluation.metrics.precision_recall`.
    """
    found = _curves(curves, "recall", "precision", _stepped)
    figure = new_figure(5.4)
    ax = figure.subplots()
    if len(found) == 1:
        prevalence = found[0].y[found[0].x.argmax()]
        label = f"chance: {number(prevalence)}"
        ax.axhline(prevalence, color=GREY, linewidth=1, linestyle=(0, (2, 3)), label=label)
    _draw_curves(ax, found, "AP")
    ax.set_xlabel("recall")
    ax.set_ylabel("precision")
    title = (
        "Precision and recall"
        if len(found) == 1
        else "Precision and recall, each class against the rest"
    )
    ax.set_title(title)
    alt = _curves_alt(title, found, "average precision")
    return Picture("precision_recall", title, alt, _curve_note(found), figure)


@dataclass(frozen=True)
class _Curve:
    label: str
    x: Array
    y: Array
    area: float


def _curves(
    curves: pd.DataFrame, x: str, y: str, area: Callable[[Array, Array], float]
) -> list[_Curve]:
    """Curve of each class, in the order of the classes."""
    groups = list(curves.groupby("class", sort=False, observed=True))
    labels = elided([label for label, _ in groups], 20)
    found = []
    for name, (_, points) in zip(labels, groups, strict=True):
        along, up = points[x].to_numpy(np.float64), points[y].to_numpy(np.float64)
        found.append(_Curve(name, along, up, area(along, up)))
    if not found:
        raise InputError("no class has held-out rows both in it and out of it: there is no curve")
    return found


def _trapezoid(x: Array, y: Array) -> float:
    return float(np.trapezoid(y, x))


def _stepped(recall: Array, precision: Array) -> float:
    """Average precision, as scikit-learn defines it."""
    return float(max(0.0, -np.sum(np.diff(recall) * precision[:-1])))


def _draw_curves(ax: Axes, found: list[_Curve], area: str) -> None:
    shown = found
    if len(found) > MAX_CURVES:
        mean = _mean_curve(found)
        ax.plot(mean.x, mean.y, color=BLACK, linewidth=3, label=f"{mean.label}: {mean.area:.3f}")
        shown = sorted(found, key=lambda curve: curve.area)[:_WORST_CURVES]
    for place, curve in enumerate(shown):
        ax.plot(
            curve.x,
            curve.y,
            color=COLOURS[place % len(COLOURS)],
            linestyle=DASHES[(place // len(COLOURS) + place) % len(DASHES)],
            linewidth=2,
            label=f"{plain(curve.label)}: {curve.area:.3f}",
        )
    ax.set_xlim(-0.01, 1.01)
    ax.set_ylim(-0.01, 1.02)
    ax.set_aspect("equal")
    grid(ax)
    heading = area if len(found) <= MAX_CURVES else f"{area}: mean and worst {_WORST_CURVES}"
    ax.legend(loc="upper left", bbox_to_anchor=(1.02, 1), title=heading, alignment="left")


def _mean_curve(found: list[_Curve]) -> _Curve:
    """Mean over the classes, at the same places along x."""
    grid = np.linspace(0, 1, 501)
    heights = []
    for curve in found:
        order = np.argsort(curve.x, kind="stable")
        heights.append(np.interp(grid, curve.x[order], curve.y[order]))
    mean = float(np.mean([curve.area for curve in found]))
    return _Curve(f"mean of {len(found)}", grid, np.mean(heights, axis=0), mean)


def _curves_alt(title: str, found: list[_Curve], area: str) -> str:
    if len(found) == 1:
        return f"{title} of class {found[0].label}: {area} is {found[0].area:.3f}."
    ordered = sorted(found, key=lambda curve: curve.area)
    mean = np.mean([curve.area for curve in found])
    return (
        f"{title}: {area} is {mean:.3f} on average over {len(found)} classes, from"
        f" {ordered[0].area:.3f} ({ordered[0].label}) to {ordered[-1].area:.3f}"
        f" ({ordered[-1].label})."
    )


def _curve_note(found: list[_Curve]) -> str:
    if len(found) == 1:
        return f"Of class {found[0].label}; the dotted line is chance."
    if len(found) <= MAX_CURVES:
        return "One curve per class, against all others."
    return (
        f"The thick curve is the mean over all {len(found)} classes; of the classes, the worst"
        f" {_WORST_CURVES} are drawn."
    )


@drawn_in_style
def calibration_curve(curves: pd.DataFrame) -> Picture:
    """Observed frequency over predicted probability, and how many rows stand behind it.

    Parameters
    ----------
    curves : DataFrame
        From :func:`baton.evaluation.metrics.calibration`.
    """
    labels = list(curves["class"].drop_duplicates())
    figure = new_figure(5.8)
    ax, below = figure.subplots(2, sharex=True, height_ratios=[4, 1])
    ax.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=(0, (2, 3)), label="perfect")
    shown = _calibrations(curves, labels)
    for place, (label, lines) in enumerate(shown.items()):
        _draw_calibration(ax, label, lines, place)
    _draw_counts(below, curves)
    ax.set_ylabel("observed frequency")
    ax.set_xlim(-0.01, 1.01)
    ax.set_ylim(-0.02, 1.02)
    grid(ax)
    heading = "class" if len(labels) <= MAX_CURVES else f"all and worst {_WORST_CURVES}"
    ax.legend(loc="upper left", bbox_to_anchor=(1.02, 1), title=heading, alignment="left")
    title = "Calibration"
    ax.set_title(title)
    return Picture(
        "calibration", title, _calibration_alt(curves, labels), _CALIBRATION_NOTE, figure
    )


_CALIBRATION_NOTE = (
    "Of the rows given a probability, the part that are of the class. On the dotted line the"
    " probabilities are as often right as they say. Great points stand for many rows, small ones"
    " for few; below, how many predictions have that probability."
)


def _calibrations(curves: pd.DataFrame, labels: list[Any]) -> dict[str, pd.DataFrame]:
    """Curves to draw, by their names in the legend."""
    if len(labels) <= MAX_CURVES:
        chosen = labels
        shown = {}
    else:
        worst = {label: _calibration_error(curves[curves["class"] == label]) for label in labels}
        chosen = sorted(labels, key=lambda label: -worst[label])[:_WORST_CURVES]
        shown = {f"all {len(labels)}": _pooled(curves)}
    names = elided(chosen, 20)
    parts = [curves[curves["class"] == label] for label in chosen]
    return shown | dict(zip(names, parts, strict=True))


def _pooled(curves: pd.DataFrame) -> pd.DataFrame:
    """One curve of all classes' probabilities."""
    weighted = curves.assign(
        bin=(curves["mean_predicted"] * 10).clip(upper=9).astype(int),
        mean_predicted=curves["mean_predicted"] * curves["n_rows"],
        observed=curves["observed"] * curves["n_rows"],
    )
    sums = weighted.groupby("bin")[["mean_predicted", "observed", "n_rows"]].sum()
    return sums.assign(
        mean_predicted=sums["mean_predicted"] / sums["n_rows"],
        observed=sums["observed"] / sums["n_rows"],
    )


def _calibration_error(lines: pd.DataFrame) -> float:
    """Mean distance from the diagonal, over the rows."""
    distance = (lines["mean_predicted"] - lines["observed"]).abs()
    return float((distance * lines["n_rows"]).sum() / max(lines["n_rows"].sum(), 1))


def _draw_calibration(ax: Axes, label: str, lines: pd.DataFrame, place: int) -> None:
    """Draw one curve, its points the greater the more rows they stand for."""
    colour, marker = COLOURS[place % len(COLOURS)], "os^Dv"[place % 5]
    dashes = DASHES[(place // len(COLOURS) + place) % len(DASHES)]
    x, y, n_rows = lines["mean_predicted"], lines["observed"], lines["n_rows"]
    ax.plot(x, y, color=colour, linestyle=dashes, linewidth=1.5)
    sizes = 12 + 108 * np.sqrt(n_rows / n_rows.max())
    ax.scatter(x, y, s=sizes, color=colour, marker=marker, zorder=3)
    ax.plot([], [], color=colour, linestyle=dashes, marker=marker, label=plain(label))


def _draw_counts(ax: Axes, curves: pd.DataFrame) -> None:
    pooled = _pooled(curves)
    ax.bar(pooled.index / 10 + 0.05, pooled["n_rows"], width=0.09, color=SKY)
    ax.set_yscale("log")
    ax.set_ylim(bottom=0.6)
    ax.set_ylabel("count")
    ax.set_xlabel("predicted probability")
    ax.tick_params(length=0, which="both")


def _calibration_alt(curves: pd.DataFrame, labels: list[Any]) -> str:
    errors = {label: _calibration_error(curves[curves["class"] == label]) for label in labels}
    mean = number(100 * float(np.mean(list(errors.values()))), 2)
    if len(labels) == 1:
        return (
            f"Calibration of class {elide(labels[0])}: observed frequencies are on average {mean}"
            " percentage points from the predicted probabilities."
        )
    worst = max(labels, key=lambda label: errors[label])
    return (
        f"Calibration of {len(labels)} classes: observed frequencies are on average {mean}"
        f" percentage points from the predicted probabilities, most for class {elide(worst)}"
        f" ({number(100 * errors[worst], 2)})."
    )


# --- regression -----------------------------------------------------------------------------------


@drawn_in_style
def predicted_vs_actual(y_true: Any, y_pred: Any, target: str, unit: str = "") -> Picture:
    """Predicted over actual values.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)
    target : str
    unit : str
        Of the target.
    """
    actual, predicted = _finite_pairs(y_true, y_pred)
    figure = new_figure(6.0, 7.2)
    ax = figure.subplots()
    low, high = _padded(np.concatenate([actual, predicted]))
    _draw_density(figure, ax, actual, predicted)
    ax.plot([low, high], [low, high], color=BLACK, linewidth=1.2, linestyle="--", label="equal")
    ax.set_xlim(low, high)
    ax.set_ylim(low, high)
    ax.set_aspect("equal")
    ax.locator_params(nbins=6)
    grid(ax)
    name = plain(target)
    ax.set_xlabel(with_unit(f"actual {name}", unit))
    ax.set_ylabel(with_unit(f"predicted {name}", unit))
    ax.legend(loc="upper left")
    title = "Predicted over actual values"
    ax.set_title(title)
    note = "On the dashed line the prediction equals the actual value."
    return Picture("predicted_vs_actual", title, _fit_alt(actual, predicted, unit), note, figure)


@drawn_in_style
def residuals(y_true: Any, y_pred: Any, target: str, unit: str = "") -> Picture:
    """Residuals, actual minus predicted, over predicted values, and their distribution.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)
    target : str
    unit : str
        Of the target.
    """
    actual, predicted = _finite_pairs(y_true, y_pred)
    errors = actual - predicted
    figure = new_figure(4.8)
    ax, beside = figure.subplots(1, 2, sharey=True, width_ratios=[4, 1])
    _draw_density(figure, ax, predicted, errors, has_bar=False)
    beside.hist(errors, bins=40, orientation="horizontal", color=SKY)
    for one in (ax, beside):
        one.axhline(0, color=BLACK, linewidth=1.2, linestyle="--")
        grid(one)
    beside.set_xlabel("rows")
    ax.set_xlim(*_padded(predicted))
    ax.set_ylim(*_padded(errors))
    ax.set_xlabel(with_unit(f"predicted {plain(target)}", unit))
    ax.set_ylabel(with_unit("actual - predicted", unit))
    title = "Residuals"
    ax.set_title(title)
    note = "Above the dashed line the actual value is greater than the predicted one."
    return Picture("residuals", title, _residuals_alt(errors, unit), note, figure)


def _finite_pairs(y_true: Any, y_pred: Any) -> tuple[Array, Array]:
    actual = np.asarray(y_true, dtype=np.float64).reshape(-1)
    predicted = np.asarray(y_pred, dtype=np.float64).reshape(-1)
    known = np.isfinite(actual) & np.isfinite(predicted)
    if not known.any():
        raise InputError("no held-out row has both an actual and a predicted value: nothing to see")
    return actual[known], predicted[known]


def _padded(values: Array) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    margin = 0.04 * (high - low) or abs(high) * 0.1 or 1.0
    return low - margin, high + margin


def _draw_density(figure: Figure, ax: Axes, x: Array, y: Array, *, has_bar: bool = True) -> None:
    """Points if they are few, else hexagons coloured by how many there are."""
    if len(x) <= SCATTERED_ROWS:
        ax.scatter(x, y, s=18, color=BLUE, alpha=0.45, linewidths=0)
        return
    extent = (*_padded(x), *_padded(y))
    found = ax.hexbin(x, y, gridsize=60, bins="log", cmap="viridis_r", mincnt=1, extent=extent)
    if has_bar:
        bar = figure.colorbar(found, ax=ax, shrink=0.9)
        bar.set_label("rows")
        bar.outline.set_visible(False)


def _fit_alt(actual: Array, predicted: Array, unit: str) -> str:
    measured = f" {unit}" if unit else ""
    lows, highs = np.min([actual, predicted], axis=1), np.max([actual, predicted], axis=1)
    seen = (
        f"Predicted over actual values of {counted(len(actual), 'row')}: actual from"
        f" {number(lows[0])} to {number(highs[0])}{measured}, predicted from {number(lows[1])} to"
        f" {number(highs[1])}{measured}"
    )
    if len(actual) > 1 and actual.std() > 0 and predicted.std() > 0:
        seen += f"; their correlation is {np.corrcoef(actual, predicted)[0, 1]:.2f}"
    return f"{seen}."


def _residuals_alt(errors: Array, unit: str) -> str:
    low, middle, high = np.quantile(errors, [0.05, 0.5, 0.95])
    measured = f" {unit}" if unit else ""
    return (
        f"Residuals of {counted(len(errors), 'row')}: half of them are above"
        f" {number(middle)}{measured}, nine of ten between {number(low)} and"
        f" {number(high)}{measured}."
    )


# --- metrics -------------------------------------------------------------------------------------


@drawn_in_style
def metric_intervals(
    values: Mapping[str, float],
    intervals: Mapping[str, tuple[float, float]],
    baseline: Mapping[str, float],
    champion: Mapping[str, float] | None = None,
    unit: str = "",
) -> Picture:
    """Metrics with their intervals, beside the baseline's.

    Parameters
    ----------
    values, intervals, baseline : mapping of metric name
        From :mod:`baton.evaluation.metrics`.
    champion : mapping of metric name, optional
        Of the champion, on the same rows.
    unit : str
        Of the target.
    """
    if not values:
        raise InputError("there is no metric to draw")
    panels = _panels(values)
    heights = [len(names) + 1.3 for names in panels.values()]
    figure = new_figure(1.1 + 0.42 * sum(heights))
    axes = figure.subplots(len(panels), height_ratios=heights, squeeze=False)[:, 0]
    for ax, ((has_unit, is_greater), names) in zip(axes, panels.items(), strict=True):
        _draw_metrics(ax, names, values, intervals, baseline, champion or {})
        direction = "higher is better" if is_greater else "lower is better"
        ax.set_xlabel(with_unit(direction, unit if has_unit else ""))
    _legend_once(figure, axes)
    title = "Metrics on the held-out rows"
    entitle(figure, title)
    note = "Bars are 95 % bootstrap intervals; the baseline ignores every column."
    return Picture("metrics", title, _metrics_alt(values, intervals, baseline), note, figure)


def _panels(values: Mapping[str, float]) -> dict[tuple[bool, bool], list[str]]:
    """Metrics that share a scale."""
    found: dict[tuple[bool, bool], list[str]] = {}
    for name in values:
        info = metrics.INFO[metrics.parse(name)]
        found.setdefault((info.has_target_unit, info.greater_is_better), []).append(name)
    return found


def _draw_metrics(
    ax: Axes,
    names: list[str],
    values: Mapping[str, float],
    intervals: Mapping[str, tuple[float, float]],
    baseline: Mapping[str, float],
    champion: Mapping[str, float],
) -> None:
    for place, name in enumerate(names):
        if name in intervals:
            ax.plot(intervals[name], [place, place], color=BLUE, linewidth=6, alpha=0.35)
    others = (("baseline", baseline, GREY, "D"), ("champion", champion, ORANGE, "s"))
    for label, found, colour, marker in others:
        known = [place for place, name in enumerate(names) if name in found]
        ax.plot(
            [found[names[place]] for place in known], known, marker, color=colour, label=label, ms=8
        )
    here = [values[name] for name in names]
    ax.plot(here, range(len(names)), "o", color=BLUE, label="this model", markersize=9)
    ax.set_yticks(range(len(names)), [metrics.INFO[metrics.parse(name)].label for name in names])
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.margins(x=0.06)
    grid(ax)


def _legend_once(figure: Figure, axes: Any) -> None:
    drawn: dict[str, Any] = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            if len(handle.get_xdata()):
                drawn.setdefault(label, handle)
    handles, labels = list(drawn.values()), list(drawn)
    figure.legend(handles, labels, loc="outside upper right", ncols=len(drawn))


def _metrics_alt(
    values: Mapping[str, float],
    intervals: Mapping[str, tuple[float, float]],
    baseline: Mapping[str, float],
) -> str:
    parts = []
    for name, value in values.items():
        part = f"{metrics.INFO[metrics.parse(name)].label} {number(value)}"
        if name in intervals:
            low, high = intervals[name]
            part += f" ({number(low)} to {number(high)})"
        if name in baseline:
            part += f", baseline {number(baseline[name])}"
        parts.append(part)
    return f"Metrics with 95 % intervals: {'; '.join(parts)}."
