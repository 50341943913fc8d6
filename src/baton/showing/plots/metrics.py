"""The picture of metrics with their intervals, beside the baseline's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from baton.errors import InputError
from baton.evaluation import metrics
from baton.showing.plots.picture import (
    BLUE,
    GREY,
    ORANGE,
    Picture,
    drawn_in_style,
    entitle,
    grid,
    new_figure,
    with_unit,
)
from baton.words.text import number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


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
