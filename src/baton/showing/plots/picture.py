"""What every picture is: a figure with its words, its style, its file.

What is drawn belongs in the modules beside this one.
"""

from __future__ import annotations

import base64
import struct
import threading
import warnings
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, wraps
from typing import TYPE_CHECKING, Any, ParamSpec

import numpy as np

from baton.words import display
from baton.words.text import elide, elided, listed, number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

P = ParamSpec("P")

DPI = 150
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_EFFORT = 5
"""Of compressing: one more takes an eighth longer and saves a fiftieth."""

MAX_FEATURES = 20
"""Most features that one picture shows."""

MAX_CURVES = 10
"""Most classes that have a curve each; above it, the mean of all and the worst few."""

WORST_CURVES = 5
"""How many those few are."""

SCATTERED_ROWS = 2_000
"""Most rows that are a point each."""

WIDTH = 8.0
"""In inches; shown 800 pixels wide, letters have the size of the page's."""

BLUE, ORANGE, GREEN, PURPLE, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9"
BLACK, GREY, AMBER = "#222222", "#6E6E6E", "#E69F00"
COLOURS = (BLUE, ORANGE, SKY, BLACK, AMBER, PURPLE, GREEN)
"""Okabe and Ito's, which colour-blind people tell apart; no red beside green."""

DASHES = ("-", "--", ":", "-.")
_STYLE = {
    "font.size": 12,
    "axes.titlesize": 14,
    "axes.titlelocation": "left",
    "axes.labelsize": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.edgecolor": GREY,
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
    "legend.fontsize": 11,
    "legend.frameon": False,
    "grid.color": "#E2E2E2",
    "figure.dpi": DPI,
    "savefig.dpi": DPI,
}


class _Style:
    """Baton's style, of one thread at a time.

    pyplot, which shap draws with, and matplotlib's style are the process's.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._is_on = False

    @contextmanager
    def on(self) -> Iterator[None]:
        """Hold the lock, and the style, which is set once where one drawing is part of another."""
        import matplotlib.style

        with self._lock:
            if self._is_on:
                yield
                return
            self._is_on = True
            try:
                with matplotlib.style.context(["default", _STYLE]):
                    yield
            finally:
                self._is_on = False


_style = _Style()


@dataclass(frozen=True)
class Picture:
    """A figure, and what it shows in words."""

    name: str
    """Stem of its file's name."""
    title: str
    alt: str
    """What one sees, in a sentence, for those who do not see it."""
    caption: str
    """How to read it, and what it leaves out."""
    figure: Figure

    def __repr__(self) -> str:
        return f"Picture({self.name}: {self.alt})"

    def _repr_html_(self) -> str:
        return display.picture(base64.b64encode(self._png).decode(), self.alt, self.caption)

    def _repr_png_(self) -> bytes:
        return self._png

    @cached_property
    def _png(self) -> bytes:
        return png(self.figure)


def png(figure: Figure) -> bytes:
    """Write a figure as PNG: the same bytes for the same figure, 1200 pixels wide, mostly."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas: Any = FigureCanvasAgg(figure)
    with styled(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # characters that the font lacks, layouts that are tight
        canvas.draw()
    return _encoded(np.asarray(canvas.buffer_rgba())[:, :, :3])


def _encoded(pixels: np.ndarray[Any, Any]) -> bytes:
    """PNG of red, green and blue, its lines unfiltered.

    Of plain areas and letters that is smaller than what filters make, in half the time.
    """
    height, width, _ = pixels.shape
    lines = np.zeros((height, 1 + 3 * width), dtype=np.uint8)
    lines[:, 1:] = pixels.reshape(height, -1)
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(lines.data, _EFFORT)), (b"IEND", b""))
    return _SIGNATURE + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )


@contextmanager
def styled() -> Iterator[None]:
    """Hold the lock, and let no style of the caller's change the picture."""
    with _style.on():
        yield


def drawn_in_style(draw: Callable[P, Picture]) -> Callable[P, Picture]:
    """Make a function draw in Baton's style, one picture at a time."""

    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Picture:
        with styled(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numpy's and shap's on constant or missing values
            return draw(*args, **kwargs)

    return drawn


def new_figure(
    height: float,
    width: float = WIDTH,
    layout: Any = "constrained",
    create: Callable[..., Figure] | None = None,
) -> Figure:
    """Empty figure that needs no display, created by matplotlib's class unless told otherwise."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = (create or Figure)(figsize=(width, height), dpi=DPI, layout=layout)
    if not isinstance(figure.canvas, FigureCanvasAgg):
        FigureCanvasAgg(figure)
    engine: Any = figure.get_layout_engine()
    if engine is not None:
        engine.set(w_pad=0.12, h_pad=0.08)
    return figure


def entitle(figure: Figure, title: str) -> None:
    """Write the title at the left, above all axes."""
    figure.suptitle(_literal(title), x=0.01, ha="left", fontsize=14)


def plain(name: Any, length: int = 28) -> str:
    """Shorten a name for a label."""
    return _literal(elide(name, length))


def plains(names: Iterable[Any], length: int = 28) -> list[str]:
    """Shorten names for labels, and keep them apart."""
    return [_literal(name) for name in elided(names, length)]


def _literal(text: str) -> str:
    """Text in which a dollar sign begins no formula and an underscore hides no legend."""
    escaped = text.replace("$", r"\$")
    return f" {escaped}" if escaped.startswith("_") else escaped


def with_unit(name: str, unit: str) -> str:
    """Write a label with its unit."""
    return f"{name} [{plain(unit)}]" if unit else name


def grid(ax: Axes, axis: Any = "both") -> None:
    """Draw a faint grid in place of ticks."""
    ax.grid(visible=True, axis=axis)
    ax.tick_params(length=0)


def best(names: Iterable[Any], values: Iterable[float]) -> str:
    """Write the first three of many, each with its value."""
    pairs = zip(elided(names), values, strict=True)
    return listed([f"{name} ({number(value, 2)})" for name, value in pairs])


def more(n_features: int, most: int = MAX_FEATURES) -> str:
    """Say how many features a picture leaves out."""
    if n_features <= most:
        return ""
    return f"The {most} greatest of {n_features} features are shown; {n_features - most} are not."
