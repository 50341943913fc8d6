"""What all pictures of Shapley values share: their scale, their figure, what is said of them.

They are drawn by shap itself, which draws by pyplot.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from baton.errors import InputError
from baton.evaluation.shapley import Scale
from baton.showing.plots.matplotlib_internals import current_figure
from baton.showing.plots.picture import DPI, MAX_FEATURES, WIDTH, new_figure, plain
from baton.words.text import elide

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure

    from baton.evaluation.shapley import ShapValues

    Array = np.ndarray[Any, np.dtype[Any]]

WATERFALL_FEATURES = 12


@contextmanager
def pyplot_figure(
    height: float,
    labels: list[str],
    *,
    top: float = 0.55,
    bottom: float = 0.75,
    right: float = 0.97,
    layout: Any = None,
) -> Iterator[Figure]:
    """A figure that pyplot takes for the current one, since shap draws by pyplot.

    The random stream, with which shap scatters points, is given back.

    Parameters
    ----------
    height : float
        In inches.
    labels : list of str
        What stands at the left of the axes.
    top, bottom : float
        Margins in inches.
    right : float
        Where the axes end, as a part of the width.
    layout : str, optional
        Layout engine, in place of the margins.
    """
    with current_figure(partial(new_figure, height, WIDTH, layout)) as figure:
        if layout is None:
            left = 0.35 / WIDTH + _widest(figure, labels)
            figure.subplots_adjust(left, bottom / height, right, 1 - top / height)
        state = np.random.get_state()
        np.random.seed(0)
        try:
            yield figure
        finally:
            np.random.set_state(state)


def _widest(figure: Figure, labels: list[str], fontsize: int = 13) -> float:
    """Width of the widest label, as a part of the figure's."""
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    widest = 0.0
    summed = ["Sum of 999 other features"] if len(labels) > WATERFALL_FEATURES else []
    for label in sorted([*labels, *summed], key=len)[-MAX_FEATURES:]:
        drawn = figure.text(0, 0, label, fontsize=fontsize)
        widest = max(widest, drawn.get_window_extent(renderer).width)
        drawn.remove()
    return widest / (DPI * WIDTH)


def widen(figure: Figure) -> None:
    """Widen the axis until the numbers beside the bars are in it, and all labels in the figure."""
    ax, *above = figure.axes
    frame, (low, high) = ax.get_window_extent(), ax.get_xlim()
    boxes = [drawn.get_window_extent() for drawn in ax.texts]
    labels = [label.get_window_extent() for one in above for label in one.get_xticklabels()]
    left = max([0.0, *(frame.x0 + 8 - box.x0 for box in boxes)])
    right = max([0.0, *(box.x1 + 8 - frame.x1 for box in boxes)])
    right = max([right, *(box.x1 + 8 - figure.bbox.x1 for box in labels)])
    per_pixel = (high - low) / max(frame.width - left - right, frame.width / 4)
    for one in figure.axes:
        one.set_xlim(low - left * per_pixel, high + right * per_pixel)


def explained_rows(found: ShapValues) -> Array:
    """Shapley values (n_rows, n_features, n_outputs), refused where there are none."""
    if found.values.shape[0] == 0 or found.values.shape[1] == 0:
        raise InputError("no row was explained: there are no Shapley values to draw")
    return found.values


def output_place(found: ShapValues, output: int | None) -> int:
    """Place of the output that is asked for, or of the one with the greatest values."""
    return int(np.abs(found.values).mean(axis=(0, 1)).argmax()) if output is None else output


def sampled(n_rows: int, most: int) -> Array:
    """Places of the rows to draw, always the same."""
    if n_rows <= most:
        return np.arange(n_rows)
    return np.sort(np.random.default_rng(0).choice(n_rows, most, replace=False))


def of_class(found: ShapValues, place: int) -> str:
    """Which class an output is, to end a title with."""
    return f", class {elide(found.classes[place], 20)}" if found.classes else ""


@dataclass(frozen=True)
class Measure:
    """In what Shapley values are shown."""

    factor: float
    unit: str

    @property
    def brackets(self) -> str:
        """The unit for a label."""
        return f"[{self.unit}]" if self.unit else ""


_POWERS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def measure_of(found: ShapValues, values: Array, unit: str) -> Measure:
    """Percentage points, or a power of ten that leaves two decimals something to show."""
    if found.scale is Scale.PROBABILITY:
        return Measure(100.0, "percentage points")
    named = plain(unit) if found.scale is Scale.VALUE else "margin"
    greatest = float(np.abs(values).max(initial=0.0))
    if greatest == 0 or 0.1 <= greatest < 1e5:
        return Measure(1.0, named)
    power = 3 * int(np.floor(np.log10(greatest) / 3))
    return Measure(10.0**-power, f"10{str(power).translate(_POWERS)} {named}".strip())


def meaning(found: ShapValues) -> str:
    """What the values of a row sum to."""
    return {
        Scale.MARGIN: "on the scale of the model's margin (its raw score, such as log-odds)",
        Scale.PROBABILITY: "in percentage points of the class's probability",
        Scale.VALUE: "in the unit of what is predicted",
    }[found.scale]


def tendency(x: Array, y: Array) -> str:
    """Say whether y rises with x."""
    import pandas as pd

    found = pd.Series(x).corr(pd.Series(y), method="spearman")
    if not abs(found) >= 0.5:
        return ""
    return f"; the first {'rises' if found > 0 else 'falls'} with the feature's value"
